// The main thread's half of WebSockets over real sockets, with an application inside the process that a test plays itself.
import { createServer as createNodeServer, type IncomingMessage, request as sendRequest } from 'node:http';
import net, { type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { Budget } from '../../../dist/src/http/budget.js';
import { takeIn } from '../../../dist/src/http/node-request.js';
import { asksNodeForWebSocket, giveBack, holdUpgrade } from '../../../dist/src/http/node-upgrade.js';
import { answerRefusal } from '../../../dist/src/http/refusal.js';
import type { HttpRequest } from '../../../dist/src/http/request.js';
import type { ResponseSink } from '../../../dist/src/http/response-sink.js';
import { WebSocketConnection } from '../../../dist/src/http/websocket/connection.js';
import { asksForWebSocket, findHandshakeFault } from '../../../dist/src/http/websocket/handshake.js';
import { WebSocketOpener } from '../../../dist/src/http/websocket/opener.js';
import { isOriginAllowed } from '../../../dist/src/http/websocket/origins.js';
import { WebSocketWatch } from '../../../dist/src/http/websocket/watch.js';
import { HttpListener, SOCKET_OPTIONS } from '../../../dist/src/http/wire/listener.js';
import { RawClient } from '../../support/raw-client.js';

/** What an application is told of one WebSocket, and how it answers. */
interface Told {
  readonly connection: WebSocketConnection;
  readonly messages: (string | Buffer)[];
  readonly acknowledged: { bytes: number };
  readonly closed: Promise<[code: number, reason: string]>;
  /** Resolves once so many messages have come. */
  comes(count: number): Promise<void>;
}

interface StubOptions {
  readonly maxMessage?: number;
  readonly fields?: readonly string[];
  readonly echoes?: boolean;
  readonly watch?: { pingIntervalMs: number; pingTimeoutMs: number; sendTimeoutMs: number };
}

type Way = 'lido' | 'node';

/** Accepts every handshake at once. Resolves with where it listens, and what the application is told of each WebSocket. */
async function startStub(
  way: Way,
  { maxMessage = 1 << 20, fields = [], echoes = true, watch }: StubOptions = {},
) {
  const budget = new Budget(1 << 30);
  const opener = new WebSocketOpener({ maxMessage, deflate: false });
  const watching = watch === undefined ? null : new WebSocketWatch(watch);
  const opened: Told[] = [];
  const waiting: ((told: Told) => void)[] = [];
  const handle = (request: HttpRequest, sink: ResponseSink) => {
    const fault = asksForWebSocket(request)
      ? findHandshakeFault(request)
      : { status: 404, reason: 'no handshake' };
    const taken = fault === null ? opener.open(request, fields) : null;
    if (fault !== null) answerRefusal(request, sink, fault, { sendTimeoutMs: 0 });
    if (taken === null) return;
    const messages: (string | Buffer)[] = [];
    const acknowledged = { bytes: 0 };
    const waiters = new Set<() => void>();
    let tellClosed: (end: [number, string]) => void = () => {};
    const closed = new Promise<[number, string]>((resolve) => {
      tellClosed = resolve;
    });
    const connection: WebSocketConnection = new WebSocketConnection(taken.webSocket, taken.socket, budget, {
      receive: (bytes, isText) => {
        messages.push(isText ? bytes.toString() : bytes);
        if (echoes) {
          connection.send(bytes, isText);
          connection.addCredit(Math.max(bytes.length, 8192));
        }
        for (const waiter of waiters) waiter();
      },
      acknowledge: (bytes) => {
        acknowledged.bytes += bytes;
      },
      closed: (code, reason) => {
        watching?.delete(connection);
        tellClosed([code, reason]);
      },
    });
    watching?.add(connection);
    const comes = (count: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (messages.length < count) return;
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      });
    const told = { connection, messages, acknowledged, closed, comes };
    const next = waiting.shift();
    if (next === undefined) opened.push(told);
    else next(told);
  };
  const server = way === 'lido' ? listenByLido(handle, budget) : listenByNode(handle, budget);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const next = async (): Promise<Told> =>
    opened.shift() ?? (await new Promise<Told>((resolve) => waiting.push(resolve)));
  return { port, next, budget };
}

type Handle = (request: HttpRequest, sink: ResponseSink) => void;

function listenByLido(handle: Handle, budget: Budget): Server {
  const listener = new HttpListener({
    limits: { requestLine: 8190, fields: 100, fieldSize: 8190 },
    headerTimeoutMs: 0,
    keepAliveMs: 0,
    sendTimeoutMs: 0,
    budget,
    handle,
    refused: () => {},
    proxies: null,
    admits: null,
    mostRequests: 0,
    address: null,
  });
  onTestFinished(() => listener.close());
  return net.createServer(SOCKET_OPTIONS, listener.accept);
}

function listenByNode(handle: Handle, budget: Budget): Server {
  const sockets = new Set<net.Socket>();
  const server = createNodeServer((request, response) => takeIn(request, response, null, budget, handle));
  server.on('upgrade', (request, socket, head) => {
    if (asksNodeForWebSocket(request))
      takeIn(request, holdUpgrade(request, socket, head), null, budget, handle);
    else giveBack(request, socket, head);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return server;
}

/** A client that keeps what it hears, so that nothing is lost between two waits. */
function open(port: number, options: ConstructorParameters<typeof WebSocket>[2] = {}) {
  const client = new WebSocket(`ws://127.0.0.1:${port}/chat`, options);
  onTestFinished(() => client.terminate());
  const messages: (string | Buffer)[] = [];
  const waiters = new Set<() => void>();
  client.on('message', (data, isBinary) => {
    messages.push(isBinary ? (data as Buffer) : data.toString());
    for (const waiter of waiters) waiter();
  });
  client.on('error', () => {});
  const opened = new Promise<void>((resolve, reject) => {
    client.once('open', resolve);
    client.once('error', reject);
  });
  opened.catch(() => {});
  const closed = new Promise<[code: number, reason: string]>((resolve) => {
    client.once('close', (code, reason) => resolve([code, reason.toString()]));
  });
  const hear = (count: number) =>
    new Promise<(string | Buffer)[]>((resolve) => {
      const look = () => {
        if (messages.length >= count) resolve(messages);
      };
      waiters.add(look);
      look();
    });
  return { client, opened, closed, hear, messages };
}

const HANDSHAKE = [
  'GET /chat HTTP/1.1',
  'Host: lido.test',
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** A client's frame of up to 125 bytes, masked with zeros. */
function frame(text: string, opcode = 1): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

function fakeRequest(fields: Record<string, string>, facts: object = {}): HttpRequest {
  const takeSocket = () => null;
  const facts11 = { method: 'GET', version: '1.1', bodyLength: 0, takeSocket };
  return { ...facts11, field: (name: string) => fields[name], ...facts } as unknown as HttpRequest;
}

const GOOD = {
  upgrade: 'websocket',
  connection: 'keep-alive, Upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

describe('a handshake', () => {
  it('is one where both fields say so, over HTTP/1.1, on a connection that can be had', () => {
    expect(asksForWebSocket(fakeRequest(GOOD))).toBe(true);
    expect(asksForWebSocket(fakeRequest({ ...GOOD, upgrade: 'h2c, WebSocket' }))).toBe(true);
    expect(asksForWebSocket(fakeRequest({ ...GOOD, upgrade: 'h2c' }))).toBe(false);
    expect(asksForWebSocket(fakeRequest({ ...GOOD, connection: 'keep-alive' }))).toBe(false);
    expect(asksForWebSocket(fakeRequest(GOOD, { version: '1.0' }))).toBe(false);
    expect(asksForWebSocket(fakeRequest(GOOD, { takeSocket: undefined }))).toBe(false);
  });

  it('that is malformed is refused, and told the version that is spoken', () => {
    const faultOf = (fields: object, facts = {}) =>
      findHandshakeFault(fakeRequest({ ...GOOD, ...fields } as typeof GOOD, facts));
    expect(faultOf({})).toBeNull();
    expect(faultOf({}, { method: 'POST' })?.reason).toBe('a WebSocket is asked for by GET');
    expect(faultOf({}, { bodyLength: null })?.reason).toBe('a WebSocket is asked for without a body');
    expect(faultOf({ 'sec-websocket-key': 'dG9vIHNob3J0' })?.reason).toBe('malformed Sec-WebSocket-Key');
    expect(faultOf({ 'sec-websocket-version': '8' })).toEqual({
      status: 400,
      reason: 'the WebSocket protocol is spoken here in version 13',
      field: ['Sec-WebSocket-Version', '13'],
    });
  });
});

describe('an origin', () => {
  const client = { scheme: 'https', host: null } as never;
  const isAllowed = (origin: string | null, ...allowed: string[]) =>
    isOriginAllowed(
      fakeRequest({ host: 'chat.test', ...(origin === null ? {} : { origin }) }),
      client,
      allowed,
    );

  it('may be any where none is named, and is not looked for where no browser asks', () => {
    expect(isAllowed('https://evil.test')).toBe(true);
    expect(isAllowed(null, 'https://chat.test')).toBe(true);
  });

  it('is compared whole, without regard to case', () => {
    expect(isAllowed('HTTPS://Chat.test', 'https://chat.test')).toBe(true);
    expect(isAllowed('http://chat.test', 'https://chat.test')).toBe(false);
    expect(isAllowed('https://chat.test.evil.test', 'https://chat.test')).toBe(false);
    expect(isAllowed('null', 'https://chat.test')).toBe(false);
  });

  it('may be the one that was asked, or any name below one', () => {
    expect(isAllowed('https://chat.test', 'same')).toBe(true);
    expect(isAllowed('https://evil.test', 'same')).toBe(false);
    expect(isAllowed('https://a.b.chat.test', 'https://*.chat.test')).toBe(true);
    expect(isAllowed('https://chat.test', 'https://*.chat.test')).toBe(false);
    expect(isAllowed('https://evil.test/.chat.test', 'https://*.chat.test')).toBe(false);
    expect(isAllowed('https://evilchat.test', 'https://*.chat.test')).toBe(false);
  });
});

describe.each<Way>(['lido', 'node'])('by the way in of %s', (way) => {
  it('messages come and go as they are, text and bytes, empty and long', async () => {
    const { port, next } = await startStub(way);
    const { client, opened, hear, closed } = open(port);
    await opened;
    const long = 'ä'.repeat(350_000);
    for (const message of ['one', Buffer.from([0, 255]), '', long, 'zwölf ✓']) client.send(message);
    const heard = await hear(5);
    expect(heard[3] === long).toBe(true);
    expect(heard.toSpliced(3, 1)).toEqual(['one', Buffer.from([0, 255]), '', 'zwölf ✓']);
    client.close(3001, 'enough');
    const told = await next();
    expect(await told.closed).toEqual([3001, 'enough']);
    expect(await closed).toEqual([3001, 'enough']);
    expect(told.acknowledged.bytes).toBe(told.connection.bytesSent);
    expect(told.connection.bytesSent).toBe(told.connection.bytesReceived);
  });

  it('what was sent in one packet with the handshake is heard', async () => {
    const { port } = await startStub(way, { fields: ['X-Room', 'blue', 'Connection', 'close'] });
    const client = new RawClient(port);
    client.send(Buffer.concat([Buffer.from(`${HANDSHAKE.join('\r\n')}\r\n\r\n`), frame('at once')]));
    const head = await client.readUntil('\r\n\r\n');
    expect(head.toLowerCase()).toContain('x-room: blue\r\n');
    expect(head.match(/^connection:/gim)).toHaveLength(1);
    expect(head).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n');
    expect(await client.readUntil('at once')).toContain('at once');
  });

  it('a handshake that is malformed, or none, is answered as any request', async () => {
    const { port } = await startStub(way);
    const client = new RawClient(port);
    client.send(`${HANDSHAKE.slice(0, 4).join('\r\n')}\r\nSec-WebSocket-Version: 12\r\n\r\n`);
    const answer = await client.readResponse();
    expect([answer.status, answer.headers['sec-websocket-version'], answer.headers.connection]).toEqual([
      400,
      '13',
      'close',
    ]);
    expect(await client.closes()).toBe(true);
  });

  it('a client that sends what nobody takes is read no further, and nothing is lost', async () => {
    const { port, next, budget } = await startStub(way, { echoes: false });
    const { client, opened } = open(port);
    await opened;
    const told = await next();
    const count = 200;
    for (let index = 0; index < count; index += 1) client.send(`${index}`.padEnd(100_000, '.'));
    await told.comes(3);
    // Its socket is full, and stays so.
    await sleep(200);
    expect(client.bufferedAmount).toBeGreaterThan(1_000_000);
    expect(told.messages.length).toBe(3);
    expect(budget.used).toBeLessThan(500_000);
    while (told.messages.length < count) {
      told.connection.addCredit(100_000);
      await sleep(0);
    }
    expect(told.messages.map((message) => Number.parseInt(message.toString(), 10))).toEqual(
      Array.from({ length: count }, (_, index) => index),
    );
  });

  it('of short messages 32 wait for the application', async () => {
    const { port, next } = await startStub(way, { echoes: false });
    const { client, opened } = open(port);
    await opened;
    const told = await next();
    for (let index = 0; index < 100; index += 1) client.send('short');
    await told.comes(32);
    await sleep(50);
    expect(told.messages.length).toBe(32);
    client.close(1000);
    for (let index = 0; index < 32; index += 1) told.connection.addCredit(8192);
    await told.comes(64);
    for (let index = 0; index < 68; index += 1) told.connection.addCredit(8192);
    // The end comes behind all of them.
    expect(await told.closed).toEqual([1000, '']);
    expect(told.messages.length).toBe(100);
  });

  it('a client that takes nothing is seen by what is acknowledged, and ended after the time-out', async () => {
    const watch = { pingIntervalMs: 0, pingTimeoutMs: 0, sendTimeoutMs: 300 };
    const { port, next } = await startStub(way, { echoes: false, watch });
    const { client, opened } = open(port);
    await opened;
    const told = await next();
    client.pause();
    for (let index = 0; index < 100; index += 1) told.connection.send(Buffer.alloc(1_000_000), false);
    await sleep(100);
    expect(told.connection.isBlocked).toBe(true);
    expect(told.acknowledged.bytes).toBe(told.connection.acknowledged);
    expect(told.connection.acknowledged).toBeLessThan(told.connection.bytesSent);
    expect(await told.closed).toEqual([1006, '']);
    // Whoever waits for room is let go all the same.
    expect(told.acknowledged.bytes).toBe(told.connection.bytesSent);
  });

  it('a client that answers pings stays, and one that does not is ended', async () => {
    const watch = { pingIntervalMs: 100, pingTimeoutMs: 300, sendTimeoutMs: 0 };
    const { port, next } = await startStub(way, { watch });
    const lively = open(port);
    await lively.opened;
    let pings = 0;
    const seen = new Promise<void>((resolve) => {
      lively.client.on('ping', () => {
        pings += 1;
        if (pings === 8) resolve();
      });
    });
    await next();
    const deaf = open(port, { autoPong: false });
    await deaf.opened;
    const told = await next();
    expect(await told.closed).toEqual([1006, '']);
    await seen;
    expect(lively.client.readyState).toBe(WebSocket.OPEN);
  });

  it('a message that is too large closes with 1009', async () => {
    const { port, next } = await startStub(way, { maxMessage: 1000 });
    const { client, opened, closed } = open(port);
    await opened;
    client.send('x'.repeat(1001));
    expect((await closed)[0]).toBe(1009);
    expect((await (await next()).closed)[0]).toBe(1006);
  });

  it('the application may close, and a client that vanishes is told of', async () => {
    const { port, next } = await startStub(way);
    const one = open(port);
    await one.opened;
    const told = await next();
    told.connection.close(4000, 'ça suffit');
    expect(await one.closed).toEqual([4000, 'ça suffit']);
    expect(await told.closed).toEqual([4000, 'ça suffit']);
    const other = open(port);
    await other.opened;
    other.client.terminate();
    expect(await (await next()).closed).toEqual([1006, '']);
    const silent = open(port);
    await silent.opened;
    silent.client.close();
    expect(await (await next()).closed).toEqual([1005, '']);
  });
});

describe('an Upgrade to something else under node:http', () => {
  it('is ignored, and the body is read', async () => {
    const bodies: string[] = [];
    const server = createNodeServer((request: IncomingMessage, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on('end', () => {
        bodies.push(`${request.headers.upgrade} ${text}`);
        response.end('done');
      });
    });
    server.on('upgrade', giveBack);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    const headers = {
      Upgrade: 'h2c',
      Connection: 'Upgrade, HTTP2-Settings',
      'HTTP2-Settings': 'AAMAAABkAAQ',
    };
    const asked = sendRequest({ port, method: 'POST', headers });
    asked.end('x'.repeat(100_000));
    const status = await new Promise((resolve, reject) => {
      asked.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', reject);
    });
    expect(status).toBe(200);
    expect(bodies).toEqual([`undefined ${'x'.repeat(100_000)}`]);
  });
});
