/**
 * What several workers take of memory: Lido's processes, threads and isolated interpreters, beside gunicorn that forks after the
 * import (`--preload`) and before. `node bench/memory.mjs [PYTHON [APPLICATION]]`, of CPython 3.13 or later with flask, django and gunicorn.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lidoCommand, pythonApps, venv } from './lib/paths.mjs';
import { listTree, readPss, readRss } from './lib/processes.mjs';

const PORT = 8799;
/** Enough that every worker has answered some. */
const REQUESTS = 400;
const PATIENCE_MS = 60_000;
const CLIENTS = 16;

const [python = join(venv, 'bin/python'), only] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'lido-memory-'));
const env = { ...process.env, PYTHONPATH: pythonApps, BENCH_DB: join(folder, 'shop.db') };
spawnSync(python, [join(pythonApps, 'shop.py')], { env, stdio: 'inherit' });

const lido = (...words) => [
  process.execPath,
  lidoCommand,
  '--python',
  python,
  '--bind',
  `127.0.0.1:${PORT}`,
  ...words,
];
const gunicorn = (...words) => [python, '-m', 'gunicorn', '-b', `127.0.0.1:${PORT}`, ...words];
const ways = {
  'Lido, 1 process, 1 thread': lido('--threads', '1'),
  'Lido, 4 processes, 1 thread each': lido('--processes', '4', '--threads', '1'),
  'Lido, 1 process, 4 threads': lido('--threads', '4'),
  'Lido, 1 process, 4 isolated interpreters': lido('--threads', '4', '--python-interpreter', 'isolated'),
  'gunicorn, 1 worker': gunicorn('-w', '1'),
  'gunicorn, 4 workers': gunicorn('-w', '4'),
  'gunicorn, 4 workers, --preload': gunicorn('-w', '4', '--preload'),
  'gunicorn, 1 worker, 4 threads': gunicorn('-w', '1', '--threads', '4'),
};
const applications = { Flask: ['flask_app:application', '/'], Django: ['django_app:application', '/page'] };

for (const [name, [application, path]] of Object.entries(applications)) {
  if (only !== undefined && only !== name) continue;
  console.log(`| ${name} | processes | RSS | PSS |\n| --- | --- | --- | --- |`);
  for (const [way, [command, ...words]] of Object.entries(ways)) {
    const child = spawn(command, [...words, application], { cwd: pythonApps, env, stdio: 'ignore' });
    await untilAnswered(path);
    await askAll(path);
    await sleep(1500);
    const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
    const { pid } = child;
    console.log(
      `| ${way} | ${listTree(pid).length} | ${megabytes(readRss(pid))} | ${megabytes(readPss(pid))} |`,
    );
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}
rmSync(folder, { recursive: true });

async function untilAnswered(path) {
  const end = performance.now() + PATIENCE_MS;
  while ((await ask(path).catch(() => 0)) !== 200) {
    if (performance.now() > end) throw new Error(`no answer from ${path}`);
    await sleep(50);
  }
}

/** On fresh connections, so that each may go to another worker. */
async function askAll(path) {
  const client = async () => {
    for (let count = 0; count < REQUESTS / CLIENTS; count += 1) await ask(path);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

async function ask(path) {
  const response = await fetch(`http://127.0.0.1:${PORT}${path}`, { headers: { Connection: 'close' } });
  await response.arrayBuffer();
  return response.status;
}
