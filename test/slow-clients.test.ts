// A client that sends or takes slowly, or not at all, occupies nobody but itself.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createHandler } from '../dist/src/index.js';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { digest, makeBytes } from './support/bytes.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, type Language, languages, startServer, venv } from './support/server.js';
import { canMount, mountSmall } from './support/small-disk.js';

const MiB = 2 ** 20;

/** What each does is said by its path; /small answers at once. */
const sources: Record<Language, string> = {
  javascript: `
    import { createHash } from 'node:crypto';
    export function application(environ, startResponse) {
      startResponse('200 OK', []);
      const { PATH_INFO, QUERY_STRING } = environ;
      if (PATH_INFO === '/blocks') return blocks(Number(QUERY_STRING));
      if (PATH_INFO === '/endless') return endless(environ);
      if (PATH_INFO === '/wait') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(QUERY_STRING));
      if (PATH_INFO === '/first') return [environ['wsgi.input'].readline()];
      if (PATH_INFO === '/lines') return environ['wsgi.input'];
      if (PATH_INFO !== '/digest') return [PATH_INFO];
      const body = environ['wsgi.input'].read();
      const hash = createHash('sha1').update(body).digest('hex');
      return [[hash, environ.CONTENT_LENGTH, environ.HTTP_TRANSFER_ENCODING].join(' ')];
    }
    function* blocks(count) {
      for (let n = 0; n < count; n += 1) yield Buffer.alloc(1 + ((n * 7919) % 200011), n % 256);
    }
    function* endless(environ) {
      try {
        for (;;) yield Buffer.alloc(100_000);
      } finally {
        environ['wsgi.errors'].write('stopped\\n');
      }
    }`,
  python: `
from hashlib import sha1
def application(environ, start_response):
    start_response('200 OK', [])
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    if path == '/blocks': return blocks(int(query))
    if path == '/endless': return endless(environ)
    if path == '/first': return [environ['wsgi.input'].readline()]
    if path == '/lines': return environ['wsgi.input']
    if path != '/digest': return [path.encode()]
    body = environ['wsgi.input'].read()
    found = sha1(body).hexdigest(), environ.get('CONTENT_LENGTH', ''), environ.get('HTTP_TRANSFER_ENCODING', '')
    return [' '.join(found).encode()]
def blocks(count):
    for n in range(count): yield bytes([n % 256]) * (1 + (n * 7919) % 200011)
def endless(environ):
    try:
        while True: yield bytes(100000)
    finally:
        environ['wsgi.errors'].write('stopped\\n')
`,
};

/** One thread; over a Unix socket, which holds little, so that what is not taken stays in the server. */
async function serve(language: Language, settings: UserSettings = {}) {
  const name = language === 'javascript' ? 'slow.mjs' : 'slow.py';
  const folder = makeFolder({ [name]: sources[language] });
  const path = join(folder, 'lido.sock');
  const application = `${join(folder, name)}:application`;
  const running = await startServer({
    application,
    python: venv,
    bind: [`unix:${path}`],
    bufferDirectory: folder,
    ...settings,
  });
  const answers = async () => expect((await exchange(path, get('/small'))).body.toString()).toBe('/small');
  const openFiles = async () => {
    const links = readdirSync('/proc/self/fd').map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
    const directory = settings.bufferDirectory ?? folder;
    return (await Promise.all(links)).filter((link) => link.startsWith(`${directory}/lido-`));
  };
  return { ...running, path, answers, openFiles };
}

function expectedBlocks(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, n) => Buffer.alloc(1 + ((n * 7919) % 200_011), n % 256)),
  );
}

/** In chunks of so many bytes. */
function chunked(bytes: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    const part = bytes.subarray(start, start + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

const post = (path: string, fields: string) => get(path, fields, 'POST');

describe.each(languages)('the worker of a %s application', (language) => {
  it.each([
    [
      'waits for 100 Continue, and then sends nothing',
      post('/digest', 'Content-Length: 5\r\nExpect: 100-continue\r\n'),
    ],
    [
      'sends 70 kB, and then nothing',
      `${post('/digest', 'Content-Length: 1000000\r\n')}${'x'.repeat(70_000)}`,
    ],
    [
      'sends 70 kB in chunks, and then nothing',
      `${post('/digest', 'Transfer-Encoding: chunked\r\n')}${chunked(Buffer.alloc(70_000), 9000).toString('latin1').slice(0, -5)}`,
    ],
  ])('is free for others while a client %s', async (_what, request) => {
    const { path, answers, server } = await serve(language);
    const slow = new RawClient(path);
    // Behind one that is answered, so that it is known to have been read.
    slow.send(get('/small') + request);
    expect((await slow.readResponse()).status).toBe(200);
    for (let count = 0; count < 5; count += 1) await answers();
    expect(server.stats()[0]?.sent).toBe(0);
  });

  it('is free while clients take nothing of what it has produced, and they get all of it later', async () => {
    const { path, answers, server, openFiles } = await serve(language);
    const clients = Array.from({ length: 5 }, () => {
      const client = new RawClient(path);
      client.socket.pause();
      client.send(get('/blocks?70'));
      return client;
    });
    await vi.waitUntil(async () => (await openFiles()).length === 5, { timeout: 5000 });
    await vi.waitUntil(() => server.stats()[0]?.busy === 0);
    for (let count = 0; count < 5; count += 1) await answers();
    for (const client of clients) {
      client.socket.resume();
      expect((await client.readResponse()).body.equals(expectedBlocks(70))).toBe(true);
    }
    await answers();
  });

  it.each([
    ['in memory', {}, 0],
    ['in a file from bufferMemory on', { bufferMemory: 100_000 }, 1],
  ])('is free while the rest of its answer is %s', async (_where, settings, files) => {
    const { path, answers, server, openFiles } = await serve(language, settings);
    const client = new RawClient(path);
    client.socket.pause();
    client.send(get('/blocks?18'));
    while (server.stats()[0]?.busy === 0) await new Promise(setImmediate);
    while (server.stats()[0]?.busy === 1) await new Promise(setImmediate);
    await answers();
    await vi.waitUntil(async () => (await openFiles()).length === files);
    client.socket.resume();
    expect((await client.readResponse()).body.equals(expectedBlocks(18))).toBe(true);
  });

  it('waits for a client without responseBuffering', async () => {
    const { path, server } = await serve(language, { responseBuffering: false });
    const client = new RawClient(path);
    client.socket.pause();
    client.send(get('/blocks?70'));
    await vi.waitUntil(() => server.stats()[0]?.busy === 1);
    const behind = exchange(path, get('/small'));
    expect(await Promise.race([behind, new Promise((resolve) => setTimeout(resolve, 300, 'waits'))])).toBe(
      'waits',
    );
    client.socket.resume();
    expect((await client.readResponse()).body.equals(expectedBlocks(70))).toBe(true);
    expect((await behind).status).toBe(200);
  });

  it('waits for a client once an answer has all the disk that it may, until sendTimeout', async () => {
    const { path, findLine, openFiles } = await serve(language, { bufferDisk: 8 * MiB, sendTimeout: 4 });
    const client = new RawClient(path);
    client.socket.pause();
    client.send(get('/endless'));
    await findLine(({ code }) => code === 'LIDO_BUFFER_DISK_FULL');
    await findLine(({ msg }) => msg === 'stopped');
    await vi.waitUntil(async () => (await openFiles()).length === 0);
  });

  it('has a body that came in chunks with its length, from memory or from a file', async () => {
    const { path, server, openFiles } = await serve(language);
    for (const [size, chunk] of [
      [200_000, 1000],
      [3 * MiB, 70_000],
      [3 * MiB + 1, 7],
    ] as const) {
      const body = makeBytes(size);
      const request = Buffer.concat([
        Buffer.from(post('/digest', 'Transfer-Encoding: chunked\r\n')),
        chunked(body, chunk),
      ]);
      expect((await exchange(path, request)).body.toString()).toBe(`${digest(body)} ${size} `);
    }
    expect(server.stats()[0]?.sent).toBe(0);
    await vi.waitUntil(async () => (await openFiles()).length === 0);
  });

  it('has a large body of known length whole', async () => {
    const { path } = await serve(language, { bufferMemory: 0 });
    const body = makeBytes(5 * MiB);
    const request = Buffer.concat([Buffer.from(post('/digest', `Content-Length: ${body.length}\r\n`)), body]);
    expect((await exchange(path, request)).body.toString()).toBe(`${digest(body)} ${body.length} `);
  });

  it('begins before the body ends without requestBuffering', async () => {
    const { path } = await serve(language, { requestBuffering: false });
    const client = new RawClient(path);
    client.send(`${post('/first', 'Transfer-Encoding: chunked\r\n')}6\r\nfirst\n\r\n`);
    expect((await client.readResponse()).body.toString()).toBe('first\n');
    const large = new RawClient(path);
    large.send(`${post('/first', 'Content-Length: 1000000\r\nExpect: 100-continue\r\n')}`);
    expect((await large.readResponse({ informational: true })).status).toBe(100);
    large.send('second\n');
    expect((await large.readResponse()).body.toString()).toBe('second\n');
  });

  it('is spared a client that sends more slowly than minBodyRate', async () => {
    const { path, answers } = await serve(language, { requestBuffering: false, minBodyRate: 1000 });
    const client = new RawClient(path);
    client.send(`${post('/lines', 'Transfer-Encoding: chunked\r\n')}6\r\nfirst\n\r\n`);
    expect(await client.readUntil('first\n')).toContain('200 OK');
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 11_000);
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    client.send('7\r\nsecond\n\r\n');
    expect(await client.readAll()).not.toContain('0\r\n\r\n');
    await answers();
  });
});

describe('a client that sends more slowly than minBodyRate', () => {
  it('is answered with 408 where a worker has not begun', async () => {
    const { path } = await serve('javascript', { minBodyRate: 1000 });
    const client = new RawClient(path);
    client.send(`${get('/small')}${post('/digest', 'Content-Length: 1000\r\n')}first`);
    expect((await client.readResponse()).status).toBe(200);
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 11_000);
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    client.send('second');
    expect((await client.readResponse()).status).toBe(408);
  });
});

describe('where there is no room', () => {
  it.skipIf(!canMount())(
    'on the disk, a body gets 503, with one line for all, and nothing is left behind',
    async () => {
      const bufferDirectory = mountSmall();
      const { path, answers, lines, openFiles } = await serve('javascript', {
        bufferDirectory,
        bufferDisk: 64 * MiB,
      });
      const body = makeBytes(3 * MiB);
      const request = (size: number) => post('/digest', `Content-Length: ${size}\r\n`);
      for (let count = 0; count < 3; count += 1) {
        const answer = await exchange(path, Buffer.concat([Buffer.from(request(body.length)), body]));
        expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1', connection: 'close' } });
      }
      await vi.waitUntil(async () => (await openFiles()).length === 0);
      expect(lines.filter(({ code }) => code === 'LIDO_BUFFER_FILE_FAILED')).toMatchObject([
        { level: 50, msg: expect.stringContaining('ENOSPC') },
      ]);
      await answers();
      const fits = makeBytes(500_000);
      const answer = await exchange(path, Buffer.concat([Buffer.from(request(fits.length)), fits]));
      expect(answer.body.toString()).toBe(`${digest(fits)} ${fits.length} `);
    },
  );

  it.skipIf(!canMount())('on the disk, an answer is whole all the same', async () => {
    const { path } = await serve('javascript', { bufferDirectory: mountSmall(), bufferDisk: 64 * MiB });
    const client = new RawClient(path);
    client.socket.pause();
    client.send(get('/blocks?70'));
    const other = exchange(path, get('/small'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.socket.resume();
    expect((await client.readResponse()).body.equals(expectedBlocks(70))).toBe(true);
    expect((await other).status).toBe(200);
  });

  it('a body that is announced as larger than bufferDisk is refused before it is sent', async () => {
    const { path } = await serve('javascript', { bufferDisk: MiB });
    const client = new RawClient(path);
    client.send(post('/digest', `Content-Length: ${10 * MiB}\r\nExpect: 100-continue\r\n`));
    expect(await client.readResponse({ informational: true })).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1', connection: 'close' },
    });
  });

  it('in the budget, a body goes to a file though it is small', async () => {
    const { path, answers, openFiles } = await serve('javascript', { bufferBudget: 100_000 });
    const body = makeBytes(90_000);
    const greedy = new RawClient(path);
    greedy.send(post('/digest', 'Content-Length: 90000\r\n'));
    greedy.send(body.subarray(0, 89_000));
    await vi.waitUntil(async () => (await openFiles()).length === 1);
    await answers();
    greedy.send(body.subarray(89_000));
    expect((await greedy.readResponse()).body.toString()).toBe(`${digest(body)} 90000 `);
  });

  it('in the budget, whoever comes is told to come back, and is served once there is room', async () => {
    const { path, answers } = await serve('javascript', { bufferBudget: 100_000, threads: 1 });
    const greedy = [new RawClient(path), new RawClient(path)];
    for (const client of greedy) client.send(get('/wait?500') + get('/small').repeat(2000));
    await vi.waitUntil(async () => (await exchange(path, get('/small'))).status === 503);
    expect(await exchange(path, get('/small'))).toMatchObject({ headers: { 'retry-after': '1' } });
    for (const client of greedy) for (let left = 2001; left > 0; left -= 1) await client.readResponse();
    await answers();
  });
});

it('a client of node:http that pipelines more than the budget has is cut off, and others are served', async () => {
  const folder = makeFolder({ 'slow.mjs': sources.javascript });
  const application = `${join(folder, 'slow.mjs')}:application`;
  const handler = createHandler({
    application,
    threads: 1,
    bufferBudget: 1_000_000,
    log: createMemoryLog().log,
  });
  await handler.ready();
  const server = http.createServer(handler).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    server.close().closeAllConnections();
    await handler.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const greedy = new RawClient(port);
  greedy.send(get('/wait?300') + get('/small').repeat(2000));
  expect(await greedy.closes()).toBe(true);
  await vi.waitUntil(async () => (await exchange(port, get('/small'))).status === 200);
});
