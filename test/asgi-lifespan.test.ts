// An ASGI application's start and end, and what the server's end does to those who still listen.
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { root, venv } from './support/server.js';

const file = `${root}test/apps/asgi_applications.py`;

function prepare() {
  const cwd = makeFolder({});
  const told = `${cwd}/told`;
  return {
    place: { cwd, env: { LIDO_TEST_FILE: told } },
    /** What the application has written, and how many threads did. */
    read: () => {
      const lines = existsSync(told) ? readFileSync(told, 'utf8').trim().split('\n') : [];
      const pairs = lines.map((line) => line.split(' '));
      return {
        events: pairs.map(([event]) => event),
        threads: new Set(pairs.map(([, thread]) => thread)).size,
      };
    },
  };
}

const words = (name: string, ...more: string[]) => [
  `${file}:${name}`,
  '--python',
  venv,
  '--no-supervise',
  ...more,
];

it('is told once when the server starts and once when it ends, and leaves a state for its requests', async () => {
  const { place, read } = prepare();
  const { child, url, ended } = await serveLido(words('lifespan'), place);
  expect(read()).toEqual({ events: ['startup'], threads: 1 });
  const answers = [];
  for (let count = 0; count < 2; count += 1) answers.push(await (await fetch(url)).json());
  // What lies in the state is shared; the state itself is a copy for each.
  expect(answers).toEqual([
    { shared: 0, own: 1 },
    { shared: 1, own: 1 },
  ]);
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect(read().events).toEqual(['startup', 'shutdown']);
});

it('is told so in each loop, where there are several', async () => {
  const { place, read } = prepare();
  const { child, ended } = await serveLido(words('lifespan', '--threads', '2'), place);
  child.kill('SIGTERM');
  await ended;
  const { events, threads } = read();
  expect([events.sort(), threads]).toEqual([['shutdown', 'shutdown', 'startup', 'startup'], 2]);
});

it('cannot start: the server does not either, and says why', async () => {
  const { place } = prepare();
  const { code, stderr } = await runLido(words('cannot_start', '--bind', '127.0.0.1:0'), place);
  expect(code).toBe(3);
  expect(stderr).toContain('LIDO_STARTUP_FAILED');
  expect(stderr).toContain('no database');
});

it('cannot end as it should: the log says so', async () => {
  const { place } = prepare();
  const { child, ended } = await serveLido(words('cannot_stop'), place);
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([0, expect.stringContaining('the database is gone')]);
});

it('never ends: the server does, within the graceful time-out', async () => {
  const { place } = prepare();
  const { child, ended } = await serveLido(words('never_stops', '--graceful-timeout', '1'), place);
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([0, expect.stringContaining('lifespan.shutdown took longer than')]);
});

it('has no lifespan: it is served all the same', async () => {
  const { place } = prepare();
  const { url, stderr } = await serveLido(words('hello'), place);
  expect(await (await fetch(url)).text()).toBe('Hello, world!\n');
  expect(stderr()).toContain('the application has no lifespan: it raised AssertionError');
});

it('goes on behind an answer: that is waited for', async () => {
  const { place, read } = prepare();
  const { child, url, ended } = await serveLido(words('background'), place);
  expect(await (await fetch(url)).text()).toBe('answered');
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect(read().events).toEqual(['done']);
});

it('goes on behind an answer while its process is replaced: that is waited for', async () => {
  const { place, read } = prepare();
  const flags = [`${file}:background`, '--python', venv, '--max-requests', '1'];
  const { child, url, ended } = await serveLido(flags, place);
  expect(await (await fetch(url)).text()).toBe('answered');
  await expect.poll(() => read().events, { timeout: 20_000 }).toEqual(['done']);
  expect(await (await fetch(url)).text()).toBe('answered');
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect(read().events).toEqual(['done', 'done']);
});

it('streams events for ever: its clients are let go when the server ends, and it is told', async () => {
  const { place } = prepare();
  const { child, url, ended } = await serveLido(words('tells_disconnect'), place);
  const client = new RawClient(Number(new URL(url).port));
  client.send(get('/stream'));
  await client.readUntil('data: 1');
  const asked = performance.now();
  child.kill('SIGTERM');
  expect(await client.readAll()).toContain('0\r\n\r\n');
  expect((await ended).code).toBe(0);
  expect(performance.now() - asked).toBeLessThan(10_000);
});

it('streams events to a client that is gone, and has not noticed: the server does not wait for that', async () => {
  const { place } = prepare();
  const { child, url, ended } = await serveLido(words('deaf_streams'), place);
  const client = new RawClient(Number(new URL(url).port));
  client.send(get('/stream'));
  await client.readUntil('data: 1');
  client.socket.resetAndDestroy();
  expect(await (await fetch(url)).text()).toBe('Hello, world!\n');
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('did not finish')]);
});

it('does not answer in time: it is cancelled when the grace period is over', async () => {
  const { place } = prepare();
  const { child, url, ended, waitFor } = await serveLido(words('waits', '--graceful-timeout', '1'), place);
  const port = Number(new URL(url).port);
  const client = new RawClient(port);
  client.send(get('/forever'));
  expect((await exchange(port, get('/'))).status).toBe(200);
  child.kill('SIGTERM');
  await waitFor('did not finish within the graceful time-out');
  expect((await ended).code).toBe(0);
});
