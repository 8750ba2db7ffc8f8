// A process in which Node does not begin is told of, and ended: somebody waits for it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { tellWhileUnbegun } from '../../../dist/src/server/slow-birth.js';
import { createMemoryLog } from '../../support/server.js';

async function bear(hasBegun: boolean) {
  const child = spawn('sleep', ['600']);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'spawn');
  const ended = once(child, 'exit');
  return { pid: child.pid ?? 0, hasBegun, ended, abandon: () => void child.kill('SIGKILL') };
}

it('is ended when it has been told of often enough', async () => {
  const { log, lines } = createMemoryLog();
  const born = await bear(false);
  await tellWhileUnbegun(born, log, [1, 1]);
  expect((await born.ended)[1]).toBe('SIGKILL');
  expect(lines.map(({ msg }) => msg.replace(/ for \d+ s: it gets .*/, ''))).toEqual([
    `process ${born.pid} has not come to Lido's code`,
    `process ${born.pid} has not come to Lido's code`,
    `process ${born.pid} is ended: it will not begin any more`,
  ]);
});

it('is left alone once it has begun', async () => {
  const { log, lines } = createMemoryLog();
  const born = await bear(true);
  await tellWhileUnbegun(born, log, [1, 1]);
  expect(lines).toEqual([]);
});
