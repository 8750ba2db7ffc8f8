// Worker threads that come with the load and go after it, in a real server; the rules are in unit/dispatch/scaling.test.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openBuffers } from '../dist/src/application/buffers.js';
import { endApplication, startApplication } from '../dist/src/application/running-application.js';
import type { Session } from '../dist/src/dispatch/session.js';
import { resolveUserSettings } from '../dist/src/settings/resolve.js';
import { readValue, scrape } from './support/admin.js';
import { makeFolder, runLido } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { createMemoryLog, languages, startServer, venv } from './support/server.js';

const sources = {
  'waits.mjs': `
    import { existsSync } from 'node:fs';
    export function application(environ, startResponse) {
      const pause = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(import.meta.dirname + '/go')) Atomics.wait(pause, 0, 0, 5);
      startResponse('200 OK', []);
      return ['done'];
    }`,
  'waits.py': `import os, time
def application(environ, start_response):
    while not os.path.exists(os.path.join(os.path.dirname(__file__), 'go')):
        time.sleep(.005)
    start_response('200 OK', [])
    return [b'done']
`,
};

it.each(languages)('come while requests wait, and go when they are of no use: %s', async (language) => {
  const folder = makeFolder(sources);
  const file = language === 'javascript' ? 'waits.mjs' : 'waits.py';
  const { port, server, findLine } = await startServer({
    application: `${folder}/${file}`,
    python: venv,
    threads: undefined,
    minThreads: 2,
    maxThreads: 5,
    admin: ['127.0.0.1:0'],
  } as never);
  const workers = () => server.stats()[0]?.workers;
  expect([workers(), server.describe()]).toEqual([2, expect.stringContaining('on 2 to 5 threads')]);
  const asked = Array.from({ length: 9 }, () => exchange(port, get('/')));
  await expect.poll(workers, { timeout: 20_000 }).toBe(5);
  expect((await findLine(({ msg }) => msg.includes('thread is started'))).msg).toMatch(
    /waits\.\w+: one thread is started: a request has waited for \d+ ms$/,
  );
  writeFileSync(join(folder, 'go'), '');
  for (const answer of await Promise.all(asked)) expect(answer.body.toString()).toBe('done');
  const families = await scrape(server.adminAddresses[0] as string);
  expect(readValue(families, 'lido_worker_scalings_total', { direction: 'up' })).toBe(3);
  expect(readValue(families, 'lido_workers_min')).toBe(2);
  expect(readValue(families, 'lido_workers_max')).toBe(5);
});

it.each(languages)('that are of no use end, and others may come in their place: %s', async (language) => {
  const folder = makeFolder({ ...sources, go: '' });
  const file = language === 'javascript' ? 'waits.mjs' : 'waits.py';
  const settings = resolveUserSettings({
    application: `${folder}/${file}`,
    python: venv,
    minThreads: 1,
    maxThreads: 4,
  });
  const { log, lines } = createMemoryLog();
  const running = await startApplication(
    settings,
    log,
    openBuffers(settings, log),
    null,
    null,
    () => false,
    false,
  );
  onTestFinished(async () => {
    await endApplication(running);
  });
  const { pool, dispatcher } = running;
  const sessions = () => [...dispatcher.sessions];
  pool.grow(3);
  await expect.poll(() => sessions().length, { timeout: 20_000 }).toBe(4);
  const before = sessions();
  expect(pool.shrink(2)).toBe(2);
  expect(sessions()).toHaveLength(2);
  const [gone] = before.filter((session) => !dispatcher.sessions.has(session));
  await expect.poll(() => pool.findThread(gone as Session), { timeout: 5000 }).toBeUndefined();
  // Another may come in the place of those that went; and the least that there are is the policy's to say.
  pool.grow(1);
  await expect.poll(() => sessions().length, { timeout: 20_000 }).toBe(3);
  expect([pool.shrink(9), pool.starting, sessions().length]).toEqual([3, 0, 0]);
  expect(lines.filter(({ level }) => level > 30)).toEqual([]);
});

it.each([
  [
    ['--threads', '2', '--max-threads', '4'],
    '--max-threads: maxThreads contradicts threads (--threads): one number',
  ],
  [['--min-threads', '2'], '--min-threads: minThreads needs maxThreads'],
  [['--min-threads', '5', '--max-threads', '4'], '--min-threads: minThreads contradicts maxThreads'],
])('are a mistake as %j', async (words, mistake) => {
  const cwd = makeFolder(sources);
  const { code, stderr } = await runLido(['check', ...words, 'waits.mjs'], { cwd });
  expect([code, stderr]).toEqual([2, expect.stringContaining(mistake)]);
});
