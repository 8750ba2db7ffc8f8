// The start and the end of JavaScript applications where threads differ: one of several cannot start, or takes another's place.
import { existsSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished, vi } from 'vitest';
import { makeFolder } from './support/command.js';
import { root, startServer } from './support/server.js';

const application = `${root}test/apps/lifespan-by-thread.mjs`;

/** `kinds`: what each thread does, in the order in which they begin. Returns what reads what they told. */
function prepare(kinds: string): () => string[] {
  const file = `${makeFolder({})}/told`;
  vi.stubEnv('LIDO_TEST_FILE', file);
  vi.stubEnv('LIDO_TEST_HOOKS', kinds);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  return () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []);
}

it.each(['starts,fails late', 'slow,fails', 'fails,slow'])(
  '%s: what could start is ended in order',
  async (kinds) => {
    const read = prepare(kinds);
    await expect(startServer({ application, threads: 2 })).rejects.toMatchObject({
      code: 'LIDO_STARTUP_FAILED',
    });
    expect(read().filter((event) => !event.startsWith('begins'))).toEqual(['startup', 'shutdown']);
  },
);

it('ends in order what had not started yet when the server was closed', async () => {
  const read = prepare('starts,slow');
  const { server, url } = await startServer({ application });
  expect((await fetch(`${url}/exits`)).status).toBe(500);
  await vi.waitFor(() => expect(read()).toContain('begins slow'));
  await server.close();
  expect(read()).toEqual(['begins starts', 'startup', 'begins slow', 'startup', 'shutdown']);
});

it('tells of a thread that is to take the place of another, and does not come up', async () => {
  prepare('starts,waits');
  const { url, findLine } = await startServer({ application });
  expect((await fetch(`${url}/exits`)).status).toBe(500);
  const why = 'startCpuProfile' in Worker.prototype ? ': its thread is idle, so it waits for something' : '';
  await findLine(({ msg }) => msg === `${application} has been loading for 5 s${why}`);
}, 20_000);
