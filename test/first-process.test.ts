// Lido as the first process of a container: what it has to do that an init does elsewhere.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';

const NAMESPACE = ['-pf', '--kill-child', '--mount-proc'];
const mayUnshare = spawnSync('unshare', [...NAMESPACE, 'true']).status === 0;
const listsChildren = existsSync(`/proc/self/task/${process.pid}/children`);

/** An application that leaves an orphan behind, and tells whether a process is in the system's table. */
const APPLICATION = `
  import { spawnSync } from 'node:child_process';
  import { existsSync } from 'node:fs';
  export function application(environ, startResponse) {
    startResponse('200 OK', []);
    if (environ.PATH_INFO === '/leave') return [spawnSync('sh', ['-c', 'sleep 0.1 >/dev/null & echo $!']).stdout];
    return [String(existsSync('/proc' + environ.PATH_INFO))];
  }`;

it.skipIf(!mayUnshare || !listsChildren)(
  'collects what others have left behind, and knows of its own processes as ever',
  async () => {
    const cwd = makeFolder({ 'leaving.mjs': APPLICATION });
    const words = [
      resolve('dist/src/cli.js'),
      '--bind',
      'unix:s.sock',
      '--supervise',
      '--threads',
      '1',
      'leaving.mjs',
    ];
    const child = spawn('unshare', [...NAMESPACE, process.execPath, ...words], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await vi.waitUntil(() => stderr.includes('serving '), { timeout: 20_000 });
    const ask = async (path: string) => (await exchange(`${cwd}/s.sock`, get(path))).body.toString().trim();
    const left = await ask('/leave');
    expect(left).toMatch(/^\d+$/);
    expect(await ask('/1')).toBe('true');
    await vi.waitUntil(async () => (await ask(`/${left}`)) === 'false', { timeout: 20_000, interval: 200 });
  },
);
