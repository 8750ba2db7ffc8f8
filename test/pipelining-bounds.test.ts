// What one client can take up by pipelining: little, however much it sends and however it goes.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHandler, type HandlerOptions } from '../dist/src/index.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, fixture, root, startServer } from './support/server.js';

const turns = { application: `${root}test/apps/turns.mjs:turns` };
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

/** Requests that node:http has parsed in this process, and the connection of the first. */
function countRequests() {
  const counted = { requests: 0, socket: null as Socket | null };
  const count = (message: unknown) => {
    counted.requests += 1;
    counted.socket ??= (message as { socket: Socket }).socket;
  };
  subscribe('http.server.request.start', count);
  onTestFinished(() => void unsubscribe('http.server.request.start', count));
  return counted;
}

/** The first connection that is accepted in this process. */
function watchSocket() {
  const watched = { socket: null as Socket | null };
  const watch = (message: unknown) => {
    watched.socket ??= (message as { socket: Socket }).socket;
  };
  subscribe('net.server.socket', watch);
  onTestFinished(() => void unsubscribe('net.server.socket', watch));
  return watched;
}

/** An application behind node:http. */
async function serveUnderNode(settings: HandlerOptions, highWaterMark?: number): Promise<number> {
  const handler = createHandler({ ...settings, threads: 1, log: createMemoryLog().log });
  await handler.ready();
  const options = highWaterMark === undefined ? {} : { highWaterMark };
  const server = http.createServer(options, handler).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    server.close().closeAllConnections();
    await handler.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('of one client', () => {
  it.each([
    ['TCP', () => '127.0.0.1:0'],
    ['a Unix socket', () => `unix:${join(makeFolder({}), 'lido.sock')}`],
  ])(
    'all are answered in order, though the backlog is short: over %s',
    async (_name, bind) => {
      const { server } = await startServer({ ...turns, threads: 2, backlog: 1, bind: [bind()] });
      const [, path, port] = /^unix:(.*)|:(\d+)$/.exec(server.addresses[0] ?? '') ?? [];
      const socket = path === undefined ? connect(Number(port), '127.0.0.1') : connect(path);
      const paths = numbers(10_000).map((number) => `/${number}`);
      socket.write(`${paths.map((each) => get(each)).join('')}${get('/last', 'Connection: close\r\n')}`);
      const answers = (await socket.toArray()).join('');
      expect(answers.match(/^\/\w+(?= 0)/gm)).toEqual([...paths, '/last']);
    },
    60_000,
  );

  it('are answered though it has ended its side behind them, and is heard late', async () => {
    const { port } = await startServer(turns);
    const socket = connect(port, '127.0.0.1');
    socket.end(get('/?1500') + get('/').repeat(500));
    expect((await socket.toArray()).join('').match(/HTTP\/1.1 200/g)?.length).toBe(501);
  });

  it('leave room for another', async () => {
    const { port } = await startServer(turns);
    const greedy = new RawClient(port);
    greedy.send(get('/?100').repeat(3000));
    await greedy.readResponse();
    expect((await exchange(port, get('/other'))).body.toString()).toBe('/other 0');
    expect((await greedy.readResponse()).status).toBe(200);
  });

  it.each([
    ['a few', 40, 'resetAndDestroy', 1],
    // The end of its side alone may come from one who waits for answers, and is not read behind many: writing tells.
    ['a few', 40, 'destroy', 3],
    ['many', 1000, 'destroy', 3],
  ] as const)(
    'who is gone are not run, and do not keep the server from closing: %s, %i, by %s',
    async (_name, count, go, most) => {
      const { port, server, lines, findLine } = await startServer({ ...turns, gracefulTimeout: 60 });
      const watched = watchSocket();
      const client = new RawClient(port);
      client.send(
        numbers(count)
          .map((number) => get(`/${number}?200`))
          .join(''),
      );
      await findLine(({ msg }) => msg === 'began /0');
      client.socket[go]();
      await until(() => watched.socket?.destroyed === true);
      await exchange(port, get('/other'));
      const begun = lines.map(({ msg }) => msg).filter((msg) => /^began .\d/.test(msg));
      expect(begun.length).toBeLessThanOrEqual(most);
      await server.close();
    },
  );
});

describe('a connection is read no further', () => {
  it.each([
    ['behind one that runs', get('/?1000')],
    ['behind one that is refused', `${get('/?1000')}GET / HTTP/1.1\r\n\r\n`],
  ])('while many are unanswered %s', async (_name, first) => {
    const { port } = await startServer(turns);
    const watched = watchSocket();
    const client = new RawClient(port);
    client.send(first + get('/').repeat(100_000));
    expect(await client.readUntil('\r\n')).toBe('HTTP/1.1 200 OK\r\n');
    // Four packets at most, of 64 KiB each: what is looked at, what is read ahead, and what the stream holds.
    expect(watched.socket?.bytesRead).toBeLessThanOrEqual(4 * 65_536);
  });

  it('under node:http, too', async () => {
    const port = await serveUnderNode(turns);
    const counted = countRequests();
    const client = new RawClient(port);
    client.send(get('/?1000') + get('/').repeat(100_000));
    expect(await client.readUntil('\r\n')).toBe('HTTP/1.1 200 OK\r\n');
    // Two packets at most, of 64 KiB each.
    expect(counted.requests).toBeLessThan(5000);
  });

  it('although node:http reads on when the client has taken some of an answer', async () => {
    const port = await serveUnderNode(fixture('javascript', 'stream') as HandlerOptions);
    const counted = countRequests();
    const client = new RawClient(port);
    client.send(get('/?1000000000'));
    await client.readUntil('\r\n\r\n');
    for (const round of [1, 2]) {
      client.socket.pause();
      await until(() => counted.socket?.writableNeedDrain === true);
      client.send(get('/').repeat(500));
      if (round === 1) await until(() => counted.requests > 1);
      // A whole exchange on another connection: what could be read would have been.
      await exchange(port, 'GET / HTTP/1.1\r\n\r\n');
      const drained = once(counted.socket as Socket, 'drain');
      client.socket.resume();
      await drained;
    }
    expect(counted.requests).toBeLessThanOrEqual(1 + 500 + 2);
  });

  it('although bodies stop node:http from reading in between', async () => {
    // No body fits into so small a buffer, and each packet ends with one.
    const port = await serveUnderNode(turns, 1024);
    const counted = countRequests();
    const client = new RawClient(port);
    client.send(get('/?1000'));
    await until(() => counted.requests === 1);
    // A quarter of a packet each.
    const post = get('/', 'Content-Length: 16325\r\n', 'POST') + 'x'.repeat(16_325);
    client.send(post.repeat(1000));
    await client.readResponse();
    expect(counted.requests).toBeLessThan(200);
  });

  it('and a head that is only half read by then is not called late', async () => {
    const { port } = await startServer({ ...turns, headerTimeout: 1 });
    const client = new RawClient(port);
    const last = get('/last');
    client.send(get('/?2500') + get('/').repeat(100) + last.slice(0, 10));
    for (let left = 101; left > 0; left -= 1) expect((await client.readResponse()).status).toBe(200);
    client.send(last.slice(10));
    expect((await client.readResponse()).body.toString()).toBe('/last 0');
  });
});
