// ASGI over HTTP: scope, bodies both ways, disconnects, what is refused, time-outs. Lifespan is in asgi-lifespan.test.ts.
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';

const file = `${root}test/apps/asgi_applications.py`;

function serve(name: string, settings = {}): Promise<RunningServer> {
  return startServer({ application: `${file}:${name}`, python: venv, ...settings });
}

async function readJson<T>(port: number, path: string): Promise<T> {
  return JSON.parse((await exchange(port, get(path))).body.toString()) as T;
}

const post = (path: string, length: number) => get(path, `Content-Length: ${length}\r\n`, 'POST');

describe('an ASGI application', () => {
  it.each(['hello', 'plain_function', 'instance', 'partial', 'Awaited'])(
    'is recognised: %s',
    async (name) => {
      const { port, server } = await serve(name);
      const { status, reason, headers, body } = await exchange(port, get('/'));
      expect([status, reason, headers['content-type'], headers['content-length'], body.toString()]).toEqual([
        200,
        'OK',
        'text/plain',
        '14',
        'Hello, world!\n',
      ]);
      expect(server.describe()).toMatch(/ by CPython .*, ASGI on (asyncio|uvloop \S+) on 1 thread at /);
    },
  );

  it('is what --interface says, and nothing else', async () => {
    await expect(serve('hello', { interface: 'wsgi' })).rejects.toMatchObject({
      code: 'LIDO_ASGI_APPLICATION',
    });
    await expect(serve('wsgi', { interface: 'asgi' })).rejects.toMatchObject({
      code: 'LIDO_WSGI_APPLICATION',
    });
    const { port } = await serve('wsgi');
    expect((await exchange(port, get('/'))).body.toString()).toBe('by WSGI\n');
  });

  it('runs in the loop that --loop names', async () => {
    const { port } = await serve('which_loop', { loop: 'asyncio' });
    expect((await exchange(port, get('/'))).body.toString()).toBe('asyncio.unix_events');
    const { port: other } = await serve('which_loop', { loop: 'uvloop' });
    expect((await exchange(other, get('/'))).body.toString()).toBe('uvloop');
  });

  it('gets the whole scope', async () => {
    const { port } = await serve('show_scope');
    const request =
      'GET /a%20b/%C3%A9%ff?x=1&y HTTP/1.1\r\nHost: lido.test\r\nX-A: 1\r\nCookie: a=b\r\nx-a: 2\r\nX_B: 3\r\n\r\n';
    const client = new RawClient(port);
    client.send(request);
    const scope = JSON.parse((await client.readResponse()).body.toString()) as Record<string, unknown>;
    const { port: clientPort } = client.socket.address() as { port: number };
    expect(scope).toMatchObject({
      type: 'http',
      asgi: { version: '3.0', spec_version: '2.5' },
      http_version: '1.1',
      method: 'GET',
      scheme: 'http',
      path: '/a b/é\ufffd',
      raw_path: '/a%20b/%C3%A9%ff',
      query_string: 'x=1&y',
      root_path: '',
      headers: [
        ['host', 'lido.test'],
        ['x-a', '1'],
        ['x-a', '2'],
        ['cookie', 'a=b'],
      ],
      client: ['127.0.0.1', clientPort],
      server: ['127.0.0.1', port],
      state: {},
      extensions: { 'http.response.pathsend': {}, lido: { request_id: expect.stringMatching(/-1$/) } },
    });
  });

  it.each([
    ['X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n', 0],
    ['Forwarded: for="203.0.113.7:4711";proto=https\r\n', 4711],
  ])('is told of the client behind a proxy, whose port may not be known: %s', async (fields, clientPort) => {
    const { port } = await serve('show_scope', {
      forwardedAllowIps: ['127.0.0.1'],
      forwardedFields: fields.startsWith('X') ? ['x-forwarded-for', 'x-forwarded-proto'] : ['forwarded'],
    });
    const scope = JSON.parse((await exchange(port, get('/', fields))).body.toString()) as object;
    expect(scope).toMatchObject({ client: ['203.0.113.7', clientPort], scheme: 'https' });
  });

  it('is told where it is mounted, by root_path and in path', async () => {
    const application = `${file}:show_scope`;
    const { port } = await startServer({ mounts: { '/shop': { application, python: venv } } });
    expect(await readJson(port, '/shop/cart')).toMatchObject({
      root_path: '/shop',
      path: '/shop/cart',
      raw_path: '/shop/cart',
    });
  });

  it('runs many requests at once in one worker, each in a context of its own', async () => {
    const { port, server } = await serve('meets');
    const answers = await Promise.all(Array.from({ length: 50 }, () => exchange(port, get('/50'))));
    expect(answers.every(({ body }) => body.toString() === 'met')).toBe(true);
    expect(server.stats()[0]).toMatchObject({ workers: 1, sent: 0, answered: 50 });
    const { port: other } = await serve('context');
    for (let count = 0; count < 3; count += 1)
      expect((await exchange(other, get('/'))).body.toString()).toBe('unset');
  });

  it('runs no more at once than concurrency says', async () => {
    const { port } = await serve('meets', { concurrency: 2 });
    const three = [1, 2, 3].map(() => exchange(port, get('/3')));
    const first = await Promise.race([...three, new Promise((resolve) => setTimeout(resolve, 300, 'none'))]);
    expect(first).toBe('none');
  });
});

describe("a request's body", () => {
  it.each([
    [0, '1'],
    [5, '1'],
    [65_536, '1'],
  ])('of %d bytes comes in one message', async (length, messages) => {
    const { port } = await serve('echo');
    const { headers, body } = await exchange(port, post('/', length) + 'x'.repeat(length));
    expect([headers['x-messages'], body.length]).toEqual([messages, length]);
  });

  it.each([true, false])('of 20 MB arrives as it was sent, in chunks: %s', async (isChunked) => {
    const { port } = await serve('echo');
    const body = Buffer.alloc(20_000_000, 'abcdefghijklm');
    const request = new Request(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      body: isChunked ? new Blob([body]).stream() : body,
      ...(isChunked ? { duplex: 'half' } : {}),
    } as RequestInit);
    const answer = Buffer.from(await (await fetch(request)).arrayBuffer());
    expect(answer.equals(body)).toBe(true);
  });

  it('can be answered piece by piece while it comes', async () => {
    const { port } = await serve('echo_pieces');
    const client = new RawClient(port);
    client.send(get('/', 'Transfer-Encoding: chunked\r\n', 'POST'));
    for (const piece of ['one', 'two', 'three']) {
      client.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await client.readUntil(piece);
    }
    client.send('0\r\n\r\n');
    expect(await client.readUntil('0\r\n\r\n')).toBe('\r\n0\r\n\r\n');
  });

  it('is asked for by 100 Continue when the application first receives', async () => {
    const { port } = await serve('echo');
    const client = new RawClient(port);
    client.send(get('/', 'Content-Length: 2\r\nExpect: 100-continue\r\n', 'POST'));
    expect((await client.readResponse({ informational: true })).status).toBe(100);
    client.send('ok');
    expect((await client.readResponse()).body.toString()).toBe('ok');
  });
});

describe('an answer', () => {
  it.each([
    [1, 16_384],
    [1, 16_385],
    [3, 5],
    [1, 400_000],
    [100, 65_536],
  ])('of %d blocks of %d bytes arrives as it was sent', async (blocks, size) => {
    const { port } = await serve('stream');
    const { body } = await exchange(port, get(`/?blocks=${blocks}&size=${size}`));
    expect(body.equals(Buffer.alloc(blocks * size, 'x'))).toBe(true);
  });

  it('sends its head though the body has yet to come', async () => {
    const { port } = await serve('head_first');
    const client = new RawClient(port);
    client.send(get('/'));
    expect(await client.readUntil('\r\n\r\n')).toContain('HTTP/1.1 200 OK\r\n');
    await exchange(port, post('/', 0));
    expect(await client.readUntil('0\r\n\r\n')).toBe('7\r\nat last\r\n0\r\n\r\n');
  });

  it('waits for a client that takes nothing, and holds up no other', async () => {
    const { port } = await serve('endless');
    const client = new RawClient(port);
    client.socket.pause();
    client.send(get('/'));
    const counts: number[] = [];
    await vi.waitUntil(
      async () => {
        counts.push((await readJson<{ blocks: number }>(port, '/sent')).blocks);
        return counts.length > 20 && counts.slice(-20).every((count) => count === counts.at(-1));
      },
      { interval: 20, timeout: 10_000 },
    );
    expect(counts.at(-1)).toBeLessThan(200);
    client.socket.destroy();
    await vi.waitUntil(async () => (await readJson<{ end?: string }>(port, '/sent')).end === 'ClientGone');
  });

  it.each([
    ['small', 1000, '/'],
    ['large', 3_000_000, '/'],
    ['large, though its head is out', 3_000_000, '/late'],
  ])('sends a file that is %s', async (_what, size, path) => {
    const { port, server } = await serve('sends_file');
    const content = Buffer.alloc(size, 'abcdefg');
    const name = join(makeFolder({ file: content.toString() }), 'file');
    const { framing, body } = await exchange(port, get(`${path}?${name}`));
    expect([framing, body.equals(content)]).toEqual([path === '/' ? 'length' : 'chunked', true]);
    await vi.waitUntil(() => server.stats()[0]?.sent === 0);
    expect((await exchange(port, get('/?/nowhere'))).status).toBe(500);
  });

  it('is framed by the server alone', async () => {
    const { port } = await serve('misbehaves');
    const client = new RawClient(port);
    for (let count = 0; count < 2; count += 1) {
      client.send(get('/framing'));
      const { framing, body } = await client.readResponse();
      expect([framing, body.toString()]).toEqual(['length', 'whole']);
    }
  });

  it('of HEAD has no body', async () => {
    const { port } = await serve('hello');
    const { headers, body } = await exchange(port, get('/', '', 'HEAD'), 'HEAD');
    expect([headers['content-length'], body.length]).toEqual(['14', 0]);
  });
});

describe('a client that goes away', () => {
  it('is told by http.disconnect, and send() raises from then on', async () => {
    const { port, server } = await serve('tells_disconnect');
    const client = new RawClient(port);
    client.send(get('/stream'));
    await client.readUntil('data: 1');
    client.socket.destroy();
    expect(await readJson(port, '/told?2')).toEqual(['http.disconnect', 'send raised ClientGone']);
    await vi.waitUntil(() => server.stats()[0]?.sent === 0);
  });

  it('is told before the answer has begun, and within the body', async () => {
    const { port } = await serve('tells_disconnect');
    for (const request of [get('/'), `${post('/', 100_000)}part`]) {
      const client = new RawClient(port);
      client.send(request);
      await vi.waitUntil(() => client.socket.bytesWritten > 0);
      // Behind another request, so that this one is known to have come.
      await readJson(port, '/told');
      client.socket.destroy();
    }
    expect(await readJson(port, '/told?4')).toHaveLength(4);
  });
});

describe('an application that breaks the rules', () => {
  it.each([
    ['raises', 'LIDO_APPLICATION_RAISED'],
    ['leaves', 'LIDO_APPLICATION_RAISED'],
    ['nothing', 'LIDO_RESPONSE_NOT_WHOLE'],
    ['body-first', 'LIDO_ASGI_MESSAGE'],
    ['twice', 'LIDO_ASGI_MESSAGE'],
    ['text', 'LIDO_BLOCK_NOT_BYTES'],
    ['header', 'LIDO_MALFORMED_HEADER'],
    ['header-text', 'LIDO_MALFORMED_HEADER'],
    ['status', 'LIDO_MALFORMED_STATUS'],
  ])('%s is answered with 500, and the log says why: %s', async (what, code) => {
    const { port, findLine } = await serve('misbehaves');
    const client = new RawClient(port);
    client.send(get(`/${what}`));
    expect((await client.readResponse()).status).toBe(500);
    const line = await findLine((one) => one.code === code);
    expect(line.requestId).toMatch(/-1$/);
  });

  it.each(['raises-within', 'half'])(
    '%s ends its connection, so that nobody takes it for whole',
    async (what) => {
      const { port, findLine } = await serve('misbehaves');
      const client = new RawClient(port);
      client.send(get(`/${what}`));
      expect(await client.readAll()).not.toContain('0\r\n\r\n');
      await findLine(({ code }) => code !== undefined);
    },
  );

  it('raises behind its answer: the client has that, and the log the traceback', async () => {
    const { port, findLine } = await serve('misbehaves');
    expect((await exchange(port, get('/raises-behind'))).body.toString()).toBe('whole');
    const { traceback, requestId } = await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED');
    expect([requestId, traceback]).toEqual([
      expect.stringMatching(/-1$/),
      expect.stringContaining('ValueError: behind'),
    ]);
  });

  it('lets a task end the process: the loop goes on', async () => {
    const { port, findLine } = await serve('misbehaves');
    expect((await exchange(port, get('/task-leaves'))).body.toString()).toBe('still here');
    await findLine(({ msg }) => msg.includes('the event loop was stopped') && msg.includes('SystemExit'));
  });

  it('calls send() in another thread, and is told that it belongs to its loop', async () => {
    const { port } = await serve('misbehaves');
    expect((await exchange(port, get('/thread'))).body.toString()).toContain('LIDO_WRONG_THREAD');
  });
});

describe('the time-out', () => {
  it('cancels a request that gives no sign, answers for it, and logs where it stood', async () => {
    const { port, server, findLine } = await serve('waits', { timeout: 0.3 });
    const client = new RawClient(port);
    client.send(get('/forever'));
    expect((await client.readResponse()).status).toBe(504);
    const { requestId } = await findLine(({ code }) => code === 'LIDO_TIMED_OUT');
    const place = await findLine(({ msg }) => msg === 'its task stood here');
    expect([place.requestId, place.traceback]).toEqual([
      requestId,
      expect.stringContaining('await asyncio.sleep(3600)'),
    ]);
    expect(await readJson(port, '/told')).toEqual(['CancelledError']);
    expect(server.stats()[0]?.sent).toBe(0);
  });

  it('leaves alone what has begun to answer', async () => {
    const { port } = await serve('silent_stream', { timeout: 0.3 });
    expect((await exchange(port, get('/'))).body.toString()).toBe('onetwo');
  });

  it('interrupts what holds up the loop; the others wait, and are answered', async () => {
    const { port, server, findLine } = await serve('blocks_loop', { timeout: 0.4 });
    const blocked = exchange(port, get('/block'));
    await vi.waitUntil(() => server.stats()[0]?.sent === 1);
    const other = exchange(port, get('/'));
    expect((await blocked).status).toBe(504);
    expect((await other).status).toBe(200);
    expect((await findLine(({ code }) => code === 'LIDO_LOOP_HELD_UP')).traceback).toContain(
      'time.sleep(0.01)',
    );
    expect((await findLine(({ code }) => code === 'LIDO_TIMED_OUT')).requestId).toMatch(/-1$/);
  });

  it('gives up a loop that C holds up: another worker takes its place', async () => {
    const { port, findLine } = await serve('blocks_loop', { timeout: 0.4 });
    const [, thread] = [await exchange(port, get('/')), (await exchange(port, get('/'))).body.toString()];
    expect((await exchange(port, get('/c?4'))).status).toBe(504);
    await findLine(({ code }) => code === 'LIDO_LOOP_HELD_UP');
    const next = await exchange(port, get('/'));
    expect(next.status).toBe(200);
    expect(next.body.toString()).not.toBe(thread);
  });
});
