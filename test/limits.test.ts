// How many connections there may be, how much is asked on one of them, and how long a request waits for a worker.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

const OBSERVED: UserSettings = { admin: ['127.0.0.1:0'] };
/** A client in the midst of a request is not idle, and none is with its application. */
const HALF_A_HEAD = 'GET / HTTP/1.1\r\nHost: lido';
const REST = '.test\r\n\r\n';

function serve(settings: UserSettings) {
  return startServer({ ...fixture('javascript', 'hello'), ...OBSERVED, ...settings });
}

type Running = Awaited<ReturnType<typeof serve>>;

/** Resolves when the server has this client: it says Continue before it has the body. */
async function begin(client: RawClient): Promise<RawClient> {
  client.send(HALF_A_HEAD);
  await new Promise<void>((resolve) => client.socket.once('connect', () => resolve()));
  return client;
}

async function countConnections({ server }: Running, count: number): Promise<void> {
  while (server.connections !== count) await new Promise(setImmediate);
}

const failuresOf = ({ server }: Running) => server.inspect().traffic.none?.failures;

describe('maxConnections', () => {
  it('answers one more with 503, says so, and serves when there is room again', async () => {
    const running = await serve({ maxConnections: 2 });
    const clients = [await begin(new RawClient(running.port)), await begin(new RawClient(running.port))];
    await countConnections(running, 2);
    const refused = new RawClient(running.port);
    refused.send(get('/'));
    const { status, headers, body } = await refused.readResponse();
    expect([status, headers.connection, headers['retry-after']]).toEqual([503, 'close', '1']);
    expect(body.toString()).toContain('too many connections');
    expect(await refused.closes()).toBe(true);
    expect(failuresOf(running)).toEqual({ LIDO_TOO_MANY_CONNECTIONS: 1 });
    const line = await running.findLine(({ code }) => code === 'LIDO_TOO_MANY_CONNECTIONS');
    expect(line.msg).toBe('a client was not let in: there are 2 connections already');
    for (const client of clients) client.send(REST);
    for (const client of clients) expect((await client.readResponse()).status).toBe(200);
    clients[0]?.socket.end();
    await countConnections(running, 1);
    expect((await exchange(running.port, get('/'))).status).toBe(200);
  });

  it('lets go of who has been idle for longest, and of nobody in the midst of a request', async () => {
    const running = await serve({ maxConnections: 3 });
    const busy = await begin(new RawClient(running.port));
    const idle = [];
    for (let index = 0; index < 2; index += 1) {
      const client = new RawClient(running.port);
      client.send(get('/'));
      await client.readResponse();
      idle.push(client);
    }
    const [longest, other] = idle as [RawClient, RawClient];
    // Whoever was idle for less than a second may be about to ask.
    let answer = await exchange(running.port, get('/'));
    while (answer.status !== 200) answer = await exchange(running.port, get('/'));
    expect(await longest.closes()).toBe(true);
    other.send(get('/'));
    expect((await other.readResponse()).status).toBe(200);
    busy.send(REST);
    expect((await busy.readResponse()).status).toBe(200);
  });

  it('tells a crowd with few words: one line for all', async () => {
    const running = await serve({ maxConnections: 1 });
    await begin(new RawClient(running.port));
    await countConnections(running, 1);
    const crowd = Array.from({ length: 200 }, () => new RawClient(running.port));
    await Promise.all(crowd.map((client) => client.readAll()));
    expect(failuresOf(running)).toEqual({ LIDO_TOO_MANY_CONNECTIONS: 200 });
    expect(running.lines.filter(({ code }) => code === 'LIDO_TOO_MANY_CONNECTIONS')).toHaveLength(1);
  });
});

describe('maxConnectionsPerAddress', () => {
  it('answers one more from the same address with 429, and serves others', async () => {
    const running = await serve({ maxConnectionsPerAddress: 2 });
    const clients = [await begin(new RawClient(running.port)), await begin(new RawClient(running.port))];
    await countConnections(running, 2);
    const { status, headers } = await exchange(running.port, get('/'));
    expect([status, headers.connection]).toEqual([429, 'close']);
    expect(failuresOf(running)).toEqual({ LIDO_TOO_MANY_FROM_ADDRESS: 1 });
    const neighbour = new RawClient({ port: running.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    neighbour.send(get('/'));
    expect((await neighbour.readResponse()).status).toBe(200);
    clients[0]?.socket.destroy();
    await countConnections(running, 2);
    expect((await exchange(running.port, get('/'))).status).toBe(200);
  });

  it('counts no trusted proxy, whose connections are of many clients', async () => {
    const running = await serve({ maxConnectionsPerAddress: 1, forwardedAllowIps: ['127.0.0.1'] });
    await begin(new RawClient(running.port));
    await countConnections(running, 1);
    expect((await exchange(running.port, get('/'))).status).toBe(200);
  });

  it('counts the clients of whom a proxy tells by the PROXY protocol', async () => {
    const running = await serve({
      maxConnectionsPerAddress: 1,
      proxyProtocol: true,
      forwardedAllowIps: ['127.0.0.1'],
    });
    const ask = (address: string) => {
      const client = new RawClient(running.port);
      client.send(`PROXY TCP6 ${address} 2001:db8::1 54321 443\r\n${get('/')}`);
      return client;
    };
    const first = ask('2001:db8:0:7::1');
    expect((await first.readResponse()).status).toBe(200);
    // The same network of 64 bits, and another.
    expect((await ask('2001:db8:0:7:ffff::2').readResponse()).status).toBe(429);
    expect((await ask('2001:db8:0:8::1').readResponse()).status).toBe(200);
    first.socket.destroy();
    await countConnections(running, 1);
    expect((await ask('2001:db8:0:7:ffff::2').readResponse()).status).toBe(200);
  });
});

describe('keepaliveRequests', () => {
  it('ends a connection with the last of so many answers, and looks at nothing behind it', async () => {
    const { port, server } = await serve({ keepaliveRequests: 2 });
    const client = new RawClient(port);
    client.send(get('/1') + get('/2') + get('/3'));
    const [first, second] = [await client.readResponse(), await client.readResponse()];
    expect([first.headers.connection, second.headers.connection]).toEqual(['keep-alive', 'close']);
    expect(await client.closes()).toBe(true);
    expect(server.stats()).toMatchObject([{ answered: 2 }]);
  });
});

describe('backlogTimeout', () => {
  it('answers with 503 who has waited for a worker for so long, and runs it no more', async () => {
    const folder = makeFolder({
      'hold.mjs': `
        import { existsSync } from 'node:fs';
        export async function application({ PATH_INFO: path }, startResponse) {
          while (!existsSync(new URL('released', import.meta.url)))
            await new Promise((resolve) => setTimeout(resolve, 5));
          startResponse('200 OK', []);
          return [path];
        }`,
    });
    const release = () => writeFileSync(join(folder, 'released'), '');
    onTestFinished(release);
    const { port, server } = await serve({ application: `${folder}/hold.mjs`, backlogTimeout: 0.2 });
    const runs = new RawClient(port);
    runs.send(get('/runs'));
    while (server.stats()[0]?.busy === 0) await new Promise(setImmediate);
    const waits = new RawClient(port);
    waits.send(get('/waits'));
    const { status, headers } = await waits.readResponse();
    expect([status, headers['retry-after'], headers.connection]).toEqual([503, '1', 'keep-alive']);
    expect(existsSync(join(folder, 'released'))).toBe(false);
    expect(server.inspect().traffic['/']?.failures).toEqual({ LIDO_WAITED_TOO_LONG: 1 });
    release();
    expect((await runs.readResponse()).body.toString()).toBe('/runs');
    // Its connection is sound, and it may ask again.
    waits.send(get('/again'));
    expect((await waits.readResponse()).body.toString()).toBe('/again');
    expect(server.stats()).toMatchObject([{ answered: 3, waiting: 0, sent: 0 }]);
  });
});
