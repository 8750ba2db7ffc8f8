// A program that has closed everything ends by itself, with its own status, though an application of it is still being loaded.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { makeFolder } from './support/command.js';
import { root, venv } from './support/server.js';

const FILES = {
  'computes.mjs': 'process.stdout.write("loads\\n"); for (;;);',
  'waits.mjs':
    'process.stdout.write("loads\\n"); await new Promise((resolve) => setTimeout(resolve, 600_000));',
  'sleeps.py': 'import time\nprint("loads", flush=True)\ntime.sleep(600)\n',
  'program.mjs': `
    import { createHandler, createServer } from '${root}dist/src/index.js';
    const [door, application] = process.argv.slice(2);
    const options = { application, threads: 1, gracefulTimeout: 0.2, python: '${venv}', logLevel: 'silent' };
    const served = door === 'handler' ? createHandler(options) : createServer({ ...options, bind: ['127.0.0.1:0'] });
    const start = door === 'handler' ? served.ready() : served.listen();
    start.catch(({ code }) => console.log(code));
    process.stdin.once('data', async () => {
      await served.close();
      console.log('closed');
      process.exitCode = 5;
      process.stdin.destroy();
    });`,
};

it.each([
  ['handler', 'computes.mjs'],
  ['server', 'waits.mjs'],
  ['handler', 'sleeps.py'],
  ['server', 'sleeps.py'],
])('of a %s whose application %s does not come to its end', async (door, application) => {
  const cwd = makeFolder(FILES);
  const program = spawn(process.execPath, ['program.mjs', door, application], { cwd });
  onTestFinished(() => void program.kill('SIGKILL'));
  const ended = once(program, 'exit');
  const said = text(program.stdout);
  program.stdout.once('data', () => program.stdin.write('close'));
  expect(await ended).toEqual([5, null]);
  // Python says nothing more: its thread still loads.
  expect((await said).split('\n')).toEqual(
    expect.arrayContaining(application.endsWith('.py') ? ['closed'] : ['closed', 'LIDO_SHUTTING_DOWN']),
  );
});
