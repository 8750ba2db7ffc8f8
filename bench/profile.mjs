/**
 * Where the time goes: `npm run profile [-- SCENARIO] [--tool cpu-prof|doctor|flame] [--seconds N]`.
 * SCENARIO is hello (default), work or stream, the JavaScript applications; `--python` takes the Python ones.
 * cpu-prof writes one .cpuprofile for the main thread and one for every worker (open them in a browser's developer
 * tools); clinic's doctor and flame see the main thread only, and write a page. Everything goes to bench/results/profile.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bench, javascriptApps, lidoCommand, pythonApps, results, venv } from './lib/paths.mjs';
import { saturate } from './lib/saturate.mjs';

const PORT = 18080;
const PATHS = { hello: '/', work: '/tiny', stream: '/blocks/100' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tool: { type: 'string', default: 'cpu-prof' },
    python: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '5' },
  },
});
const app = positionals[0] ?? 'hello';
const output = `${results}/profile`;
mkdirSync(output, { recursive: true });

const target = values.python
  ? ['--python', venv, `${app}:application`]
  : [`${javascriptApps}/${app}.js:application`];
const lido = [lidoCommand, '--bind', `127.0.0.1:${PORT}`, '--threads', values.threads, ...target];
const child = spawn(process.execPath, [...wrapWith(values.tool), ...lido], {
  cwd: values.python ? pythonApps : output,
  env: { ...process.env, NO_INSIGHT: '1' },
  stdio: 'inherit',
});
const exited = once(child, 'exit');
await waitUntilItAnswers();
const { rate, p99 } = await saturate(
  { url: `http://127.0.0.1:${PORT}` },
  { path: PATHS[app], connections: 32, seconds: values.seconds },
);
// clinic passes the interrupt on to what it runs, and then writes its page.
child.kill('SIGINT');
await exited;
console.log(`${Math.round(rate)} requests/s, p99 ${p99.toFixed(2)} ms, while profiled; see ${output}`);

function wrapWith(tool) {
  if (tool === 'cpu-prof') return ['--cpu-prof', '--cpu-prof-dir', output];
  const clinic = `${bench}/node_modules/clinic/bin.js`;
  if (!existsSync(clinic))
    spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', bench], { stdio: 'inherit' });
  return [clinic, tool, '--open=false', '--dest', output, '--', process.execPath];
}

async function waitUntilItAnswers() {
  while (child.exitCode === null) {
    const answered = await fetch(`http://127.0.0.1:${PORT}${PATHS[app]}`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  process.exit(1);
}
