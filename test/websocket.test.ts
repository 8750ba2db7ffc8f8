// WebSockets of ASGI applications, over real sockets: the handshake, messages both ways, the close, and every way in.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import websocketPlugin from '@fastify/websocket';
import Fastify from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import lido from '../dist/src/fastify.js';
import { createHandler } from '../dist/src/index.js';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { readValue, scrape } from './support/admin.js';
import { makeFolder, startLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, fixture, root, startServer, venv } from './support/server.js';
import { openWebSocket, refusalOf, type WebSocketClient } from './support/websocket.js';

const APPLICATION = { application: `${root}test/apps/websockets.py:application`, python: venv };

/** All servers of this process have the application's module together: each WebSocket that is asked about has a name of its own. */
let names = 0;
const makeName = () => `name${++names}`;

/** What befell the WebSockets of this name, once that is so much. */
async function eventsOf(url: string, name: string, count = 1): Promise<unknown[][]> {
  const read = async () => (await (await fetch(`${url}/events?${name}`)).json()) as unknown[][];
  await expect.poll(async () => (await read()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(count);
  return read();
}

async function serve(settings: UserSettings = {}) {
  const server = await startServer({ ...APPLICATION, ...settings });
  const base = server.url.replace('http', 'ws');
  return { ...server, base, open: (path: string, options = {}) => openWebSocket(base + path, options) };
}

/** Under node:http, beside another upgrade that is none of Lido's business. */
async function serveByHandler() {
  const { log } = createMemoryLog();
  const handler = createHandler({ ...APPLICATION, threads: 1, log });
  const server = http.createServer(handler).on('upgrade', handler.upgrade).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    await handler.close();
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, prefix: '' };
}

async function serveByFastify(isBeside: boolean) {
  const app = Fastify();
  onTestFinished(() => app.close());
  if (isBeside) {
    await app.register(websocketPlugin);
    app.get('/own', { websocket: true }, (socket) => {
      socket.on('message', (data: Buffer) => socket.send(`own ${data}`));
    });
  }
  app.get('/plain', async () => 'plain');
  await app.register(lido, { ...APPLICATION, threads: 1, prefix: '/lido' });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { port: (app.server.address() as AddressInfo).port, prefix: '/lido' };
}

const ways: [name: string, serve: () => Promise<{ port: number; prefix: string }>][] = [
  ["Lido's own HTTP", async () => ({ port: (await serve()).port, prefix: '' })],
  ['createHandler', serveByHandler],
  ['Fastify', () => serveByFastify(false)],
  ['Fastify beside @fastify/websocket', () => serveByFastify(true)],
];

describe.each(ways)('by %s', (_name, start) => {
  it('messages go both ways as they are, and the close with them', async () => {
    const { port, prefix } = await start();
    const name = makeName();
    const { socket, opened, hear, closed } = openWebSocket(`ws://127.0.0.1:${port}${prefix}/echo?${name}`);
    await opened;
    const long = 'ä'.repeat(900_000);
    const bytes = Buffer.alloc(2_500_000, 'abcdefg');
    const sent = ['text', Buffer.from([0, 255]), '', long, bytes, '✓'];
    for (const message of sent) socket.send(message);
    const heard = await hear(sent.length);
    expect(heard[3] === long && bytes.equals(heard[4] as Buffer)).toBe(true);
    expect([...heard.slice(0, 3), heard[5]]).toEqual(['text', Buffer.from([0, 255]), '', '✓']);
    socket.close(3000, 'çiao');
    expect(await closed).toEqual([3000, 'çiao']);
    const url = `http://127.0.0.1:${port}${prefix}`;
    expect(await eventsOf(url, name)).toEqual([['disconnect', 3000, 'çiao']]);
  });

  it('the application sees the handshake, and answers it with a subprotocol and fields', async () => {
    const { port, prefix } = await start();
    const client = openWebSocket(`ws://127.0.0.1:${port}${prefix}/a%20b/show?x=%C3%A9`, {
      protocols: ['one', 'two'],
      headers: { 'X-Own': 'mine' },
    });
    const { headers } = await client.opened;
    expect(headers['sec-websocket-protocol']).toBe('two');
    expect([headers['x-own'], headers.connection, headers['set-cookie']]).toEqual([
      'value',
      'Upgrade',
      ['a=b'],
    ]);
    const shown = JSON.parse((await client.hear(1))[0] as string) as Record<string, unknown>;
    expect(shown).toMatchObject({
      type: 'websocket',
      http_version: '1.1',
      scheme: 'ws',
      path: `${prefix}/a b/show`,
      raw_path: `${prefix}/a%20b/show`,
      query_string: 'x=%C3%A9',
      root_path: prefix,
      subprotocols: ['one', 'two'],
      state: { started: true },
      client: '127.0.0.1',
    });
    expect(Object.keys(shown.extensions as object)).toEqual(['websocket.http.response', 'lido']);
    expect(shown.headers).toContainEqual(['x-own', 'mine']);
    expect(await client.closed).toEqual([1000, '']);
  });

  it('the application may refuse, in its own way too', async () => {
    const { port, prefix } = await start();
    const url = `ws://127.0.0.1:${port}${prefix}`;
    const name = makeName();
    const forbidden = await refusalOf(openWebSocket(`${url}/forbid?${name}`));
    expect([forbidden.status, forbidden.body]).toEqual([403, '403 Forbidden\n']);
    const denied = await refusalOf(openWebSocket(`${url}/deny`));
    expect([denied.status, denied.body, denied.headers['www-authenticate']]).toEqual([
      401,
      'who are you? who are you? ',
      'Basic',
    ]);
    for (const path of ['leave', 'fail'])
      expect((await refusalOf(openWebSocket(`${url}/${path}`))).status).toBe(500);
    const events = await eventsOf(`http://127.0.0.1:${port}${prefix}`, name);
    expect(events).toEqual([['websocket.disconnect', 1006]]);
  });

  it('a client that vanishes while the application thinks is told of', async () => {
    const { port, prefix } = await start();
    const url = `http://127.0.0.1:${port}${prefix}`;
    const name = makeName();
    const { socket } = openWebSocket(`${url.replace('http', 'ws')}/wait?${name}`);
    expect(await eventsOf(url, name)).toEqual([['waits']]);
    socket.terminate();
    expect(await eventsOf(url, name, 2)).toEqual([['waits'], ['websocket.disconnect']]);
  });

  it('what is no handshake is answered as any other request', async () => {
    const { port, prefix } = await start();
    const body = 'x'.repeat(100_000);
    const client = new RawClient(port);
    client.send(
      `POST ${prefix}/events?none HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect((await client.readResponse()).status).toBe(200);
    const fields = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n';
    const wrong = await exchange(port, get(`${prefix}/echo`, fields));
    expect([wrong.status, wrong.headers['sec-websocket-version']]).toEqual([400, '13']);
  });
});

describe('beside @fastify/websocket', () => {
  it('its routes stay its own, and those that have none as they were', async () => {
    const { port } = await serveByFastify(true);
    const own = openWebSocket(`ws://127.0.0.1:${port}/own`);
    await own.opened;
    own.socket.send('hello');
    expect(await own.hear(1)).toEqual(['own hello']);
    const lost = openWebSocket(`ws://127.0.0.1:${port}/plain`);
    await lost.opened;
    expect((await lost.closed)[0]).toBe(1005);
  });

  it('without it, routes that are no WebSockets answer as ever', async () => {
    const { port } = await serveByFastify(false);
    const refusal = await refusalOf(openWebSocket(`ws://127.0.0.1:${port}/plain`));
    expect([refusal.status, refusal.body]).toEqual([200, 'plain']);
    expect((await refusalOf(openWebSocket(`ws://127.0.0.1:${port}/none`))).status).toBe(404);
  });
});

describe('an application', () => {
  it('may close with a code and a reason, and send nothing more', async () => {
    const { open, url } = await serve();
    const name = makeName();
    expect(await open(`/close?${name}`).closed).toEqual([4001, 'ça suffit']);
    expect(await eventsOf(url, name, 2)).toEqual([
      ['websocket.disconnect', 4001, 'ça suffit'],
      ['raised', 'ClientGone'],
    ]);
  });

  it('that returns closes with 1000, and one that raises with 1011 and a line in the log', async () => {
    const { open, findLine } = await serve();
    expect(await open('/end').closed).toEqual([1000, '']);
    const client = open('/failLater');
    await client.opened;
    client.socket.send('go');
    expect(await client.closed).toEqual([1011, '']);
    const line = await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED');
    expect(line.traceback).toContain('RuntimeError: later');
  });

  it.each([
    [{ type: 'websocket.accept' }, 'expected is websocket.send or websocket.close'],
    [{ type: 'http.response.start', status: 200 }, 'expected is websocket.send or websocket.close'],
    [{ type: 'websocket.send' }, 'it has neither bytes nor text'],
    [{ type: 'websocket.send', bytes: 'text' }, "its bytes are 'text'"],
    [{ type: 'websocket.close', code: 1005 }, '1005 is no code to send'],
    [{ type: 'websocket.close', code: 1000, reason: 'x'.repeat(124) }, 'its reason has more than 123 bytes'],
  ])('that sends %j is told what is wrong', async (message, text) => {
    const { open, findLine } = await serve();
    const client = open('/mistake');
    await client.opened;
    client.socket.send(JSON.stringify(message));
    expect((await client.closed)[0]).toBe(1011);
    expect((await findLine(({ code }) => code === 'LIDO_ASGI_MESSAGE')).msg).toContain(text);
  });

  it('may send from several tasks, and no message comes into another', async () => {
    const { open } = await serve();
    const { hear, closed } = open('/talk');
    const heard = await hear(10);
    expect(heard.map((text) => `${text.length} ${new Set(text as string).size}`)).toEqual(
      Array.from({ length: 10 }, () => '400000 1'),
    );
    expect(await closed).toEqual([1000, '']);
  });

  it('that does not answer the handshake is ended by the time-out', async () => {
    const { open, url } = await serve({ timeout: 0.5 });
    const name = makeName();
    expect((await refusalOf(open(`/hang?${name}`))).status).toBe(504);
    expect(await eventsOf(url, name)).toEqual([['raised', 'CancelledError', false]]);
  });
});

describe('backpressure', () => {
  it('send() waits for a client that takes nothing, and raises OSError when that is gone', async () => {
    const { open, url } = await serve({ sendTimeout: 2 });
    const name = makeName();
    const { socket, opened, hear } = open(`/flood?${name}`);
    await opened;
    await hear(1);
    socket.pause();
    const countOf = async () => (await eventsOf(url, name))[0]?.[0] as number;
    // The sockets' own buffers fill up, and then nothing more goes out.
    let before = -1;
    await expect
      .poll(
        async () => {
          const stands = (await countOf()) === before;
          before = await countOf();
          return stands;
        },
        { interval: 200, timeout: 10_000 },
      )
      .toBe(true);
    expect(before).toBeLessThan(200);
    expect((await eventsOf(url, name, 2))[1]).toEqual(['raised', 'ClientGone', true]);
  });

  it('send() waits for a client that takes no empty messages either, and others come to their turn', async () => {
    const { open } = await serve();
    const { socket, opened, hear } = open('/floodEmpty');
    await opened;
    await hear(1);
    socket.pause();
    const other = open('/echo?other');
    await other.opened;
    other.socket.send('there');
    expect(await other.hear(1)).toEqual(['there']);
  });

  it('a client is read no further while the application takes nothing, and nothing is lost', async () => {
    const { open, url } = await serve();
    const name = makeName();
    const client = open(`/ignore?${name}`);
    await client.opened;
    const count = 300;
    for (let index = 0; index < count; index += 1) client.socket.send('x'.repeat(50_000));
    // It stands still with most of it in the client.
    let before = -1;
    await expect
      .poll(
        () => {
          const stands = client.socket.bufferedAmount === before;
          before = client.socket.bufferedAmount;
          return stands;
        },
        { interval: 200, timeout: 10_000 },
      )
      .toBe(true);
    expect(before).toBeGreaterThan(5_000_000);
    client.socket.close(1000);
    await open(`/openGate?${name}`).closed;
    expect(await client.closed).toEqual([1000, '']);
    expect(await eventsOf(url, name)).toEqual([['received', count]]);
  });
});

describe('a setting', () => {
  it('websocketOrigins refuses pages of other sites with 403, before the application sees them', async () => {
    const { open, url } = await serve({ websocketOrigins: ['https://chat.test', 'same'] });
    const refusal = await refusalOf(open('/echo?stranger', { origin: 'https://evil.test' }));
    expect([refusal.status, refusal.body]).toEqual([
      403,
      '403 Forbidden\n\npages of this origin may not open a WebSocket here\n',
    ]);
    for (const origin of ['https://chat.test', url, undefined])
      await open('/echo', origin === undefined ? {} : { origin }).opened;
    expect(await (await fetch(`${url}/events?stranger`)).json()).toEqual([]);
  });

  it('websocketMaxMessage closes with 1009 what is larger', async () => {
    const { open } = await serve({ websocketMaxMessage: 1000 });
    const { socket, opened, hear, closed } = open('/echo');
    await opened;
    socket.send('x'.repeat(1000));
    expect(await hear(1)).toHaveLength(1);
    socket.send('x'.repeat(1001));
    expect((await closed)[0]).toBe(1009);
  });

  it('websocketPingInterval asks a silent client, and websocketPingTimeout ends one that gives no sign', async () => {
    const { open, url } = await serve({ websocketPingInterval: 0.1, websocketPingTimeout: 0.3 });
    const lively = open('/echo?lively');
    await lively.opened;
    const deaf = open('/echo?deaf', { autoPong: false });
    expect(await deaf.closed).toEqual([1006, '']);
    expect(await eventsOf(url, 'deaf')).toEqual([['disconnect', 1006, '']]);
    expect(lively.socket.readyState).toBe(WebSocket.OPEN);
  });

  it.each([true, false])('websocketDeflate compresses for clients that can: %s', async (websocketDeflate) => {
    const { open } = await serve({ websocketDeflate });
    const client = open('/echo');
    const { headers } = await client.opened;
    expect(headers['sec-websocket-extensions']).toBe(websocketDeflate ? 'permessage-deflate' : undefined);
    client.socket.send('again '.repeat(10_000));
    expect((await client.hear(1))[0]).toBe('again '.repeat(10_000));
  });
});

describe('a handshake', () => {
  it('may offer subprotocols that are none, which harm nothing', async () => {
    const { port } = await serve();
    const client = new RawClient(port);
    const fields = [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: ch\xe4t, \xff, good, a b'],
    ];
    client.send(get('/show', `${fields.join('\r\n')}\r\n`));
    const head = await client.readUntil('\r\n\r\n');
    expect(head).toContain('HTTP/1.1 101 Switching Protocols\r\n');
    expect(head).toContain('Sec-WebSocket-Protocol: good\r\n');
    expect(await client.readUntil('"subprotocols": ["good"]')).toContain('"type": "websocket"');
  });

  it('is ignored by a WSGI application, which has no WebSockets', async () => {
    const { url } = await startServer(fixture('python', 'hello'));
    const refusal = await refusalOf(openWebSocket(url.replace('http', 'ws')));
    expect([refusal.status, refusal.body]).toEqual([200, 'Hello, world!\n']);
  });

  it('goes by the path to the application that is mounted there', async () => {
    const { url } = await startServer({
      mounts: {
        '/': `${root}test/apps/applications.py:hello`,
        '/chat': `${root}test/apps/websockets.py:application`,
      },
      python: venv,
    });
    const client = openWebSocket(`${url.replace('http', 'ws')}/chat/show`);
    await client.opened;
    const shown = JSON.parse((await client.hear(1))[0] as string) as Record<string, unknown>;
    expect([shown.root_path, shown.path]).toEqual(['/chat', '/chat/show']);
    expect((await refusalOf(openWebSocket(`${url.replace('http', 'ws')}/`))).status).toBe(200);
  });

  it('comes through a proxy that tells of its client', async () => {
    const { port } = await serve({ proxyProtocol: true, forwardedAllowIps: ['127.0.0.1'] });
    const client = new RawClient(port);
    const fields =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    client.send(`PROXY TCP4 203.0.113.7 192.0.2.1 54321 443\r\n${get('/show', fields)}`);
    expect(await client.readUntil('"client": "203.0.113.7"')).toContain('101 Switching Protocols');
  });

  it('comes over TLS, as wss', async () => {
    const cwd = makeFolder({});
    const options = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=localhost',
    ];
    execFileSync('openssl', ['req', '-x509', ...options, '-keyout', 'key.pem', '-out', 'cert.pem'], {
      cwd,
      stdio: 'ignore',
    });
    const { url } = await serve({ certfile: [join(cwd, 'cert.pem')], keyfile: [join(cwd, 'key.pem')] });
    const options2 = { rejectUnauthorized: false };
    const client = openWebSocket(`${url.replace('http', 'ws')}/show`, options2);
    await client.opened;
    expect(JSON.parse((await client.hear(1))[0] as string)).toMatchObject({ scheme: 'wss' });
    const echo = openWebSocket(`${url.replace('http', 'ws')}/echo`, options2);
    await echo.opened;
    echo.socket.send('x'.repeat(300_000));
    expect((await echo.hear(1))[0]).toHaveLength(300_000);
  });
});

describe('the end of the server', () => {
  const leave = async (client: WebSocketClient) => (await client.closed)[0];

  it('closes with 1001, lets the application finish, and takes no new ones', async () => {
    const { open, server, url } = await serve();
    const client = open('/echo?ended');
    await client.opened;
    expect(await (await fetch(`${url}/events?ended`)).json()).toEqual([]);
    const closing = server.close();
    expect(await leave(client)).toBe(1001);
    expect(await closing).toBe(true);
  });

  it('closes with 1012 where another process has taken its place', async () => {
    const running = startLido(
      ['--bind', '127.0.0.1:0', '--python', venv, `${root}test/apps/websockets.py:application`],
      { cwd: makeFolder({}) },
    );
    await running.waitFor('http://127.0.0.1:');
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(running.stderr())?.[0] ?? '';
    const client = openWebSocket(`${url.replace('http', 'ws')}/echo`);
    await client.opened;
    running.child.kill('SIGHUP');
    expect(await leave(client)).toBe(1012);
    running.child.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 0 });
  });
});

it('has its line in the access log, and its metrics', async () => {
  const folder = makeFolder({});
  const { open, server } = await serve({
    admin: ['127.0.0.1:0'],
    accessLog: join(folder, 'access.log'),
    accessLogFormat: '%(r)s %(s)s %(B)s',
  });
  const admin = server.adminAddresses[0] as string;
  const client = open('/echo');
  await client.opened;
  client.socket.send('hello');
  await client.hear(1);
  expect(readValue(await scrape(admin), 'lido_websockets', { mount: '/' })).toBe(1);
  client.socket.close();
  await client.closed;
  await expect.poll(async () => readValue(await scrape(admin), 'lido_websockets')).toBe(0);
  const families = await scrape(admin);
  expect(readValue(families, 'lido_requests_total', { status: '1xx', method: 'GET' })).toBe(1);
  expect(readValue(families, 'lido_request_duration_seconds_count')).toBe(0);
  await server.close();
  expect(readFileSync(join(folder, 'access.log'), 'utf8')).toBe('GET /echo HTTP/1.1 101 5\n');
});
