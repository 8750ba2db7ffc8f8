// Applications and clients that misbehave harm only themselves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, type Language, languages, root, startServer, venv } from './support/server.js';

/** Reads the body, and says of it as another error where it cannot be read to its end: /as-another. */
const READER: Record<Language, readonly [string, string]> = {
  javascript: [
    'reader.mjs',
    `export function application(environ, startResponse) {
      environ['wsgi.errors'].write('reads\\n');
      startResponse('200 OK', []);
      try {
        return [String(environ['wsgi.input'].read().length)];
      } catch (cause) {
        throw environ.PATH_INFO === '/as-another' ? new Error('the upload broke off', { cause }) : cause;
      }
    }`,
  ],
  python: [
    'reader.py',
    `
def application(environ, start_response):
    environ['wsgi.errors'].write('reads\\n')
    start_response('200 OK', [])
    try:
        return [str(len(environ['wsgi.input'].read())).encode()]
    except OSError as error:
        if environ['PATH_INFO'] == '/as-another':
            raise RuntimeError('the upload broke off') from error
        raise
`,
  ],
};

describe.each(languages)('a %s worker', (language) => {
  const serve = (settings = {}) => startServer({ ...fixture(language, 'misbehaves'), ...settings });
  const answers = async (port: number) =>
    expect((await exchange(port, get('/'))).body.toString()).toBe('Hello, world!\n');

  test('an endless loop is ended by the time-out with 504, and only it', async () => {
    const { port, findLine } = await serve({ timeout: 0.3, threads: 2 });
    const stuck = exchange(port, get('/loop'));
    for (let count = 0; count < 20; count += 1) await answers(port);
    expect((await stuck).status).toBe(504);
    await findLine(({ code }) => code === 'LIDO_TIMED_OUT');
    if (language === 'python') {
      const line = await findLine(
        ({ msg }) => msg === 'the application took longer than 0.3 s; it stood here',
      );
      expect(line.traceback).toMatch(/applications\.py", line \d+, in misbehaves/);
    }
    for (let count = 0; count < 20; count += 1) await answers(port);
  });

  test('requests that wait behind an endless loop are answered once it is ended', async () => {
    const { port } = await serve({ timeout: 0.3 });
    const stuck = exchange(port, get('/loop'));
    const behind = Promise.all(Array.from({ length: 10 }, () => answers(port)));
    expect((await stuck).status).toBe(504);
    await behind;
  });

  test('a call that blocks past the time-out costs its own request, and another worker takes over', async () => {
    const { port } = await serve({ timeout: 0.3 });
    const stuck = exchange(port, get('/sleep?3'));
    expect((await stuck).status).toBe(504);
    await answers(port);
  });

  test('the time-out of one request never hits the next', async () => {
    const { port } = await serve({ timeout: 0.2 });
    for (let round = 0; round < 5; round += 1) {
      const stuck = exchange(port, get('/loop'));
      await answers(port);
      expect((await stuck).status).toBe(504);
      for (let count = 0; count < 5; count += 1) await answers(port);
    }
  });

  test('an application that exits costs its own request', async () => {
    const { port } = await serve();
    expect((await exchange(port, get('/exit'))).status).toBe(500);
    await answers(port);
  });

  test('an endless recursion costs its own request', async () => {
    const { port } = await serve();
    expect((await exchange(port, get('/recurse'))).status).toBe(500);
    await answers(port);
  });

  test.each([
    ['resets its connection', 0, (socket: Socket) => socket.resetAndDestroy()],
    ['ends it later than a client that has only said all', 2000, (socket: Socket) => socket.destroy()],
  ])('a request whose client goes away while it waits, and %s, is never run', async (_name, ageMs, leave) => {
    const { port, server, lines } = await serve();
    const slow = exchange(port, get('/sleep?0.5'));
    const leaving = Array.from({ length: 5 }, () => new RawClient(port));
    for (const client of leaving) client.send(get('/exit'));
    const asked = () => server.stats().reduce((sum, { sent, waiting }) => sum + sent + waiting, 0);
    await vi.waitUntil(() => asked() === 6);
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + ageMs);
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    for (const client of leaving) leave(client.socket);
    expect((await slow).status).toBe(200);
    await answers(port);
    expect(lines.filter(({ code }) => code !== undefined)).toEqual([]);
  });

  test('a client that ends its side as soon as it has asked is answered, and then the connection ends', async () => {
    const { port } = await serve();
    const client = new RawClient(port);
    client.send(get('/') + get('/sleep?0.1'));
    client.socket.end();
    expect((await client.readResponse()).body.toString()).toBe('Hello, world!\n');
    expect((await client.readResponse()).status).toBe(200);
    expect(await client.closes()).toBe(true);
  });

  test('an application that goes on for ever behind the length that it declared is stopped there', async () => {
    const { port, findLine } = await serve();
    expect((await exchange(port, get('/endless?10'))).body.toString()).toBe('ababababab');
    await findLine(({ msg }) => msg.includes('LIDO_BODY_TOO_LONG'));
    await answers(port);
  });

  test('one that goes on for ever after HEAD sends its head, and is stopped once the client has ended its side', async () => {
    const { port } = await serve();
    const client = new RawClient(port);
    client.send(get('/endless', '', 'HEAD'));
    expect((await client.readResponse({ method: 'HEAD' })).status).toBe(200);
    client.socket.end();
    await answers(port);
    client.socket.destroy();
    const hasty = new RawClient(port);
    hasty.send(get('/endless', '', 'HEAD'));
    hasty.socket.end();
    expect((await hasty.readResponse({ method: 'HEAD' })).status).toBe(200);
    await answers(port);
  });

  test('a client that takes its time to send a body, and ends its side then, is answered', async () => {
    const { port, server } = await startServer({ ...fixture(language, 'echo'), requestBuffering: false });
    const client = new RawClient(port);
    client.send(`${get('/', 'Content-Length: 200000\r\n', 'POST')}${'x'.repeat(100_000)}`);
    await vi.waitUntil(() => server.stats()[0]?.sent === 1);
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 2000);
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    client.socket.end('x'.repeat(100_000));
    expect((await client.readResponse()).body.length).toBe(200_000);
  });

  test.each([
    ['HTTP/1.0, counted', 'POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\nabc'],
    ['HTTP/1.1, counted', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc'],
    ['HTTP/1.1, in chunks', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc'],
  ])(
    'a body that breaks off is answered with 400, and the connection is not reset: %s',
    async (_name, bytes) => {
      const { port, server } = await startServer(fixture(language, 'echo'));
      const client = new RawClient(port);
      const errors: Error[] = [];
      client.socket.on('error', (error) => errors.push(error));
      client.send(bytes);
      client.socket.end();
      expect((await client.readResponse()).status).toBe(400);
      expect(await client.closes()).toBe(true);
      expect(errors).toEqual([]);
      expect(server.stats()[0]?.sent).toBe(0);
    },
  );

  test.each([true, false])(
    'an upload whose sender disappears frees the worker, taken in first: %s',
    async (requestBuffering) => {
      const { port } = await startServer({ ...fixture(language, 'echo'), requestBuffering });
      const client = new RawClient(port);
      client.send(`${get('/', 'Content-Length: 1000000\r\n', 'POST')}${'x'.repeat(200_000)}`);
      client.socket.end();
      client.socket.destroy();
      const response = await exchange(port, `${get('/', 'Content-Length: 3\r\n', 'POST')}abc`);
      expect(response.body.toString()).toBe('abc');
    },
  );

  test.each(['/as-it-comes', '/as-another'])(
    "a client that leaves amid an upload is no failure of the application's: %s",
    async (path) => {
      const [name, text] = READER[language];
      const application = join(makeFolder({ [name]: text }), name);
      const { port, lines, findLine } = await startServer({
        application,
        python: venv,
        requestBuffering: false,
      });
      const client = new RawClient(port);
      client.send(`${get(path, 'Content-Length: 1000000\r\n', 'POST')}${'x'.repeat(200_000)}`);
      await findLine(({ msg }) => msg === 'reads');
      client.socket.resetAndDestroy();
      // What its worker does next is done behind that.
      const next = await exchange(port, `${get(path, 'Content-Length: 3\r\n', 'POST')}abc`);
      expect(next.body.toString()).toBe('3');
      expect(lines.map(({ msg }) => msg)).toEqual(['reads', 'reads']);
    },
  );

  test('a full backlog answers 503 with Retry-After at once', async () => {
    const { port } = await serve({ backlog: 2 });
    // One runs, two may wait.
    const clients = Array.from({ length: 60 }, () => new RawClient(port));
    for (const client of clients) client.send(get('/sleep?0.5'));
    const responses = await Promise.all(clients.map((client) => client.readResponse()));
    const refused = responses.filter(({ status }) => status === 503);
    expect(refused.length).toBe(57);
    for (const { headers } of refused) expect(headers['retry-after']).toBe('1');
    expect(responses.filter(({ status }) => status === 200).length).toBe(60 - refused.length);
    await answers(port);
  });

  test('close() finishes what runs, refuses new connections, and is idempotent', async () => {
    const { port, server } = await serve();
    const client = new RawClient(port);
    client.send(get('/sleep?0.3'));
    await new Promise((resolve) => setImmediate(resolve));
    const idle = new RawClient(port);
    await new Promise((resolve) => idle.socket.once('connect', resolve));
    const response = client.readResponse();
    await exchange(port, get('/'));
    const closed = [server.close(), server.close()];
    expect((await response).status).toBe(200);
    expect(await idle.closes()).toBe(true);
    await Promise.all(closed);
    await expect(exchange(port, get('/'))).rejects.toThrow('the connection ended');
  });
});

describe('a JavaScript worker', () => {
  test('an uncaught exception costs what its worker ran', async () => {
    const { port, findLine } = await startServer({ ...fixture('javascript', 'misbehaves'), threads: 2 });
    await exchange(port, get('/uncaught'));
    await findLine(({ msg }) => msg.includes('uncaught failure'));
    for (let count = 0; count < 20; count += 1) expect((await exchange(port, get('/'))).status).toBe(200);
  });

  test('two threads run two requests at the same time', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'span'), threads: 2 });
    const spans = await Promise.all([exchange(port, get('/')), exchange(port, get('/'))]);
    const [first, second] = spans.map(({ body }) => JSON.parse(body.toString()) as [number, number]);
    const overlap = Math.min(first?.[1] ?? 0, second?.[1] ?? 0) - Math.max(first?.[0] ?? 0, second?.[0] ?? 0);
    expect(overlap).toBeGreaterThan(0);
  });

  test('tiny requests do not wait behind a slow one', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'misbehaves'), threads: 2 });
    const slow = exchange(port, get('/sleep?2'));
    const finished: string[] = [];
    void slow.then(() => finished.push('slow'));
    await Promise.all(Array.from({ length: 50 }, () => exchange(port, get('/'))));
    finished.push('tiny');
    await slow;
    expect(finished[0]).toBe('tiny');
  });
});

describe('a worker that cannot start again', () => {
  test('is logged once, requests are answered with 503 meanwhile, and it comes back by itself', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lido-'));
    const flag = join(folder, 'flag');
    writeFileSync(flag, '');
    process.env.STARTS_ONCE = flag;
    const { port, lines, findLine } = await startServer({ application: `${root}test/apps/starts-once.mjs` });
    expect((await exchange(port, get('/'))).body.toString()).toBe('started');
    rmSync(flag);
    expect((await exchange(port, get('/exit'))).status).toBe(500);
    await findLine(({ msg }) => msg.startsWith('a worker cannot start'));
    const refused = await exchange(port, get('/'));
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    writeFileSync(flag, '');
    await findLine(({ msg }) => msg === 'workers start again');
    expect((await exchange(port, get('/'))).body.toString()).toBe('started');
    expect(lines.filter(({ msg }) => msg.startsWith('a worker cannot start')).length).toBe(1);
    rmSync(folder, { recursive: true });
  });
});

describe('a client', () => {
  test('that stalls within its head is dropped with 408', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'hello'), headerTimeout: 0.5 });
    const client = new RawClient(port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n');
    expect(await client.readAll()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('that stalls within its body is dropped with 408, and held no worker', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'echo'), bodyTimeout: 0.5 });
    const client = new RawClient(port);
    client.send(`${get('/', 'Content-Length: 10\r\n', 'POST')}abc`);
    expect((await exchange(port, `${get('/', 'Content-Length: 2\r\n', 'POST')}ok`)).body.toString()).toBe(
      'ok',
    );
    expect(await client.readAll()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('that stalls within a large body is dropped, and its worker is free again', async () => {
    const { port } = await startServer({
      ...fixture('javascript', 'echo'),
      bodyTimeout: 0.5,
      requestBuffering: false,
    });
    const client = new RawClient(port);
    client.send(`${get('/', 'Content-Length: 1000000\r\n', 'POST')}${'x'.repeat(100_000)}`);
    expect(await client.readAll()).toMatch(/^HTTP\/1\.1 408 /);
    expect((await exchange(port, `${get('/', 'Content-Length: 2\r\n', 'POST')}ok`)).body.toString()).toBe(
      'ok',
    );
  });

  test('that takes nothing of a response is dropped', async () => {
    const { port, findLine } = await startServer({ ...fixture('javascript', 'stream'), sendTimeout: 0.5 });
    const client = new RawClient(port);
    client.socket.pause();
    client.send(get('/?1000000000'));
    await findLine(({ msg }) => msg === 'closed');
  });

  test('that sends more than the largest body gets 413, with a length and in chunks', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'echo'), maxBodySize: 1000 });
    expect((await exchange(port, get('/', 'Content-Length: 1001\r\n', 'POST'))).status).toBe(413);
    const chunked = `${get('/', 'Transfer-Encoding: chunked\r\n', 'POST')}7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`;
    expect((await exchange(port, chunked)).status).toBe(413);
    const fits = await exchange(port, `${get('/', 'Content-Length: 1000\r\n', 'POST')}${'x'.repeat(1000)}`);
    expect(fits.body.length).toBe(1000);
  });
});
