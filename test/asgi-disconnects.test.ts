// What an ASGI application holds is let go however a request ends: its client goes, its time is over, the server ends.
import { expect, it, vi } from 'vitest';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';
import { openWebSocket } from './support/websocket.js';

async function serve(settings = {}): Promise<RunningServer> {
  const application = `${root}test/frameworks/sessions_site.py:tell`;
  const running = await startServer({ application, python: venv, ...settings });
  // The module is imported once for all tests of this process.
  await exchange(running.port, get('/sessions', '', 'DELETE'));
  return running;
}

/** The sessions that are open, and how the others were left. */
async function readSessions(port: number) {
  const [open = '', ...left] = (await exchange(port, get('/sessions'))).body.toString().split('\n');
  return { open: open === '' ? [] : open.split(','), left };
}

/** Waits until none is open; says how they were left. */
async function untilReleased(port: number): Promise<string[]> {
  await vi.waitFor(async () => expect((await readSessions(port)).open).toEqual([]), 10_000);
  return (await readSessions(port)).left;
}

it.each([
  ['between two blocks', 'Accept-Encoding: identity\r\n'],
  ['with what is compressed', 'Accept-Encoding: gzip\r\n'],
])('a stream behind middleware is ended when its client goes: %s', async (_, fields) => {
  const { port, lines } = await serve();
  const clients = Array.from({ length: 10 }, () => new RawClient(port));
  for (const client of clients) client.send(get('/stream', fields));
  await Promise.all(clients.map((client) => client.readUntil('text/event-stream')));
  await vi.waitFor(async () => {
    const { open } = await readSessions(port);
    expect(open.filter((name) => name === 'stream')).toHaveLength(10);
  });
  for (const client of clients) client.socket.destroy();
  const left = await untilReleased(port);
  expect(left.filter((line) => line.startsWith('stream'))).toHaveLength(10);
  expect(left.filter((line) => line.startsWith('dependency'))).toHaveLength(10);
  expect(left.filter((line) => line.startsWith('middleware'))).toHaveLength(20);
  expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
});

it('a handler that waits for ever is cancelled when its time is over, and gives back what it holds', async () => {
  const { port } = await serve({ timeout: 0.3 });
  const client = new RawClient(port);
  client.send(get('/waits'));
  expect((await client.readResponse()).status).toBe(504);
  const left = await untilReleased(port);
  expect(left).toHaveLength(4);
  expect(left).toEqual(expect.arrayContaining(['handler: CancelledError', 'dependency: CancelledError']));
});

it('a client that goes does not keep its handler from that', async () => {
  const { port } = await serve({ timeout: 0.3 });
  const client = new RawClient(port);
  client.send(get('/waits'));
  await vi.waitFor(async () => expect((await readSessions(port)).open).toContain('handler'));
  client.socket.destroy();
  expect(await untilReleased(port)).toContain('handler: CancelledError');
});

it.each([
  ['a group of tasks', '/listens', 'handler'],
  ['who asks again and again', '/poll', 'poll'],
])('%s hears of the client that goes, and lets go', async (_, path, name) => {
  const { port } = await serve();
  const client = new RawClient(port);
  client.send(get(path));
  await vi.waitFor(async () => expect((await readSessions(port)).open).toContain(name));
  client.socket.destroy();
  const left = await untilReleased(port);
  expect(left.filter((line) => line.startsWith(name))).toHaveLength(1);
});

it('receive() that is cancelled has taken nothing: what comes next is there', async () => {
  const { port } = await serve();
  const client = new RawClient(port);
  client.send(get('/patience'));
  await vi.waitFor(async () =>
    expect((await readSessions(port)).left.filter((line) => line.includes('Timeout'))).toHaveLength(3),
  );
  client.socket.destroy();
  expect(await untilReleased(port)).toContain('http.disconnect');
});

it('a WebSocket gives back what it holds when its client goes', async () => {
  const { port, url } = await serve();
  const client = openWebSocket(`${url.replace('http', 'ws')}/socket`);
  await client.opened;
  await vi.waitFor(async () => expect((await readSessions(port)).open).toEqual(['socket']));
  client.socket.terminate();
  expect(await untilReleased(port)).toHaveLength(1);
});
