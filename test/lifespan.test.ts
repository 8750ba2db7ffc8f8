// The start and the end that a JavaScript application exports; ASGI's are in asgi-lifespan.test.ts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openBuffers } from '../dist/src/application/buffers.js';
import { endApplication, startApplication } from '../dist/src/application/running-application.js';
import lido from '../dist/src/fastify.js';
import { createHandler } from '../dist/src/index.js';
import { resolveUserSettings } from '../dist/src/settings/resolve.js';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { get, RawClient } from './support/raw-client.js';
import { createMemoryLog, root, startServer } from './support/server.js';

const file = `${root}test/apps/lifespan.mjs`;

/** Where the application tells what it does; of this process, and of others. */
function prepare(what = '') {
  const cwd = makeFolder({});
  const env = { LIDO_TEST_FILE: `${cwd}/told`, LIDO_TEST_HOOKS: what };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  return {
    place: { cwd, env },
    /** The events, and of how many threads. */
    read: () => {
      const text = existsSync(env.LIDO_TEST_FILE) ? readFileSync(env.LIDO_TEST_FILE, 'utf8') : '';
      const pairs = text.split('\n').flatMap((line) => (line === '' ? [] : [line.split(' ')]));
      return { events: pairs.map(([event]) => event), threads: new Set(pairs.map(([, id]) => id)).size };
    },
  };
}

const words = (...more: string[]) => [file, '--no-supervise', '--threads', '1', ...more];

it('starts before the first request, and ends behind the last', async () => {
  const { place, read } = prepare();
  const { child, url, ended } = await serveLido(words(), place);
  expect(read().events).toEqual(['startup']);
  expect(await (await fetch(url)).text()).toBe('connected');
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect(read().events).toEqual(['startup', 'request', 'shutdown']);
});

it('has no end of its own: a server that stops has nothing to warn of', async () => {
  const { child, ended } = await serveLido([`${root}examples/hello.js`], { cwd: root });
  child.kill('SIGTERM');
  // Node.js 21 and later warn of a pause that is negative.
  expect((await ended).stderr).not.toMatch(/warning: /i);
});

it('does so in each worker thread', async () => {
  const { read } = prepare();
  const { server } = await startServer({ application: file, threads: 2 });
  expect(read()).toEqual({ events: ['startup', 'startup'], threads: 2 });
  await server.close();
  expect(read()).toEqual({ events: ['startup', 'startup', 'shutdown', 'shutdown'], threads: 2 });
});

it('cannot start: the server does not either, and says why', async () => {
  const { place } = prepare('cannot start');
  for (const action of [[], ['check']]) {
    const { code, stderr } = await runLido([...action, ...words('--bind', '127.0.0.1:0')], place);
    expect(code).toBe(3);
    expect(stderr).toContain('LIDO_STARTUP_FAILED');
    expect(stderr).toContain('Error: no database');
    expect(stderr).toContain('lifespan.mjs:');
  }
});

it.each([
  ['cannot stop', 'the application failed at its shutdown: Error: the database is gone'],
  ['never stops', "the application's shutdown took longer than"],
  ['blocks', 'a worker did not end in time'],
])('%s: the server ends all the same, and the log says so', async (what, expected) => {
  const { place } = prepare(what);
  const { child, ended } = await serveLido(words('--graceful-timeout', '1'), place);
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([0, expect.stringContaining(expected)]);
});

it('ends although a request still runs when the grace period is over', async () => {
  const { place, read } = prepare();
  const { child, url, ended } = await serveLido(words('--graceful-timeout', '1'), place);
  const client = new RawClient(Number(new URL(url).port));
  client.send(get('/waits'));
  await vi.waitFor(() => expect(read().events).toContain('waits'));
  child.kill('SIGTERM');
  expect(await client.readAll()).toBe('');
  expect((await ended).code).toBe(0);
  expect(read().events).toEqual(['startup', 'waits', 'shutdown']);
});

it('is reloaded: the new one has started before the old one ends', async () => {
  const { read } = prepare();
  const { server } = await startServer({ application: file });
  await server.reload();
  expect(read()).toEqual({ events: ['startup', 'startup', 'shutdown'], threads: 2 });
});

it('ends with a thread that is not needed any more', async () => {
  const { read } = prepare();
  const settings = resolveUserSettings({ application: file, threads: 2 });
  const { log } = createMemoryLog();
  const store = openBuffers(settings, log);
  const running = await startApplication(settings, log, store, null, null, () => false, false);
  onTestFinished(async () => {
    await endApplication(running);
  });
  expect(running.pool.shrink(1)).toBe(1);
  await vi.waitFor(() => expect(read().events).toEqual(['startup', 'startup', 'shutdown']));
});

it('is mounted, twice', async () => {
  const { read } = prepare();
  const { server, url } = await startServer({ mounts: { '/one': file, '/two': file } });
  expect(await (await fetch(`${url}/two/`)).text()).toBe('connected');
  await server.close();
  const { events, threads } = read();
  expect([events.sort(), threads]).toEqual([['request', 'shutdown', 'shutdown', 'startup', 'startup'], 2]);
});

it('answers one request by lido call', async () => {
  const { place, read } = prepare();
  const { code, stdout } = await runLido(['call', '--chdir', `${root}test/apps`, 'lifespan.mjs', '/'], place);
  expect([code, stdout]).toEqual([0, 'connected']);
  expect(read().events).toEqual(['startup', 'request', 'shutdown']);
});

it('is told so under node:http and in Fastify', async () => {
  const { read } = prepare();
  const handler = await createHandler({ application: file, threads: 1 });
  const server = createServer(handler).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('connected');
  server.closeAllConnections();
  server.close();
  await handler.close();
  expect(read().events).toEqual(['startup', 'request', 'shutdown']);

  const app = fastify();
  await app.register(lido, { application: file, threads: 1 });
  await app.ready();
  expect((await app.inject('/')).body).toBe('connected');
  await app.close();
  await vi.waitFor(() => expect(read().events).toHaveLength(6));
  expect(read().events.slice(3)).toEqual(['startup', 'request', 'shutdown']);
});

it.each([
  ['a default export', 'export default Object.assign(application, { startup, shutdown });', 'hello.mjs'],
  ['CommonJS', 'module.exports = Object.assign(application, { startup, shutdown });', 'hello.cjs'],
  ['TypeScript', 'export { application, startup, shutdown };', 'hello.ts'],
])('is found in %s', async (_, exports, name) => {
  const cwd = makeFolder({});
  const text = `
    const { appendFileSync } = process.getBuiltinModule('node:fs');
    let started = 'no';
    function startup() { started = 'yes'; }
    function shutdown() { appendFileSync('ended', started); }
    function application(environ, startResponse) { startResponse('200 OK', []); return [started]; }
    ${exports}`;
  writeFileSync(`${cwd}/${name}`, text);
  expect(await runLido(['call', name, '/'], { cwd })).toMatchObject({ code: 0, stdout: 'yes' });
  expect(readFileSync(`${cwd}/ended`, 'utf8')).toBe('yes');
});

it('exports something else by that name: it is told so', async () => {
  const cwd = makeFolder({ 'hello.mjs': 'export const startup = 3; export const application = () => [];' });
  const { code, stderr } = await runLido(['check', 'hello.mjs'], { cwd });
  expect(code).toBe(3);
  expect(stderr).toContain('hello.mjs exports as startup a number, not a function');
});
