// Python in a thread that has run a worker before: the pool keeps threads, and gives one to the next worker.
import { expect, it, onTestFinished } from 'vitest';
import { openBuffers } from '../dist/src/application/buffers.js';
import { endApplication, startApplication } from '../dist/src/application/running-application.js';
import { resolveUserSettings } from '../dist/src/settings/resolve.js';
import { createMemoryLog, fixture } from './support/server.js';

it('serves there again', async () => {
  const settings = resolveUserSettings({ ...fixture('python', 'hello'), threads: 2 });
  const { log, lines } = createMemoryLog();
  const store = openBuffers(settings, log);
  const { pool, dispatcher, ...rest } = await startApplication(
    settings,
    log,
    store,
    null,
    null,
    () => false,
    false,
  );
  onTestFinished(async () => {
    await endApplication({ pool, dispatcher, ...rest });
  });
  const threads = () => [...dispatcher.sessions].map(({ thread }) => thread);
  const seen = new Set(threads());
  let isSeenAgain = false;
  while (!isSeenAgain) {
    expect(pool.shrink(1)).toBe(1);
    await expect.poll(threads).toHaveLength(1);
    const [left] = threads();
    pool.grow(1);
    await expect.poll(threads).toHaveLength(2);
    expect(lines.filter(({ msg }) => msg.includes('cannot start'))).toEqual([]);
    const [another] = threads().filter((thread) => thread !== left);
    // A worker that has not quite ended has its thread still: then there is a new one.
    isSeenAgain = seen.has(another as number);
    seen.add(another as number);
  }
});
