// Bodies on their way to a worker: within the request, in chunks, or in a file that the worker reads for itself.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Spool } from '../dist/src/http/spool.js';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { digest, makeBytes } from './support/bytes.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type Language, languages, startServer, venv } from './support/server.js';

const MiB = 2 ** 20;
/** A machine that does other work as well. */
const SOON = { timeout: 10_000 };

/**
 * /digest reads in pieces and lines of all sizes. /waits reads a part, says so and reads on once there is a file of that name;
 * /slowly takes 40 pauses of 50 ms between as many pieces; /dies ends its thread, of JavaScript alone.
 */
const sources: Record<Language, string> = {
  javascript: `
    import { createHash } from 'node:crypto';
    import { existsSync } from 'node:fs';
    const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    export function application(environ, startResponse) {
      const { PATH_INFO, QUERY_STRING } = environ;
      const input = environ['wsgi.input'];
      const hash = createHash('sha1');
      const take = (piece) => { hash.update(piece); return piece.length > 0; };
      if (PATH_INFO === '/dies') { input.read(100000); process.exit(1); }
      if (PATH_INFO === '/waits') {
        take(input.read(100000));
        environ['wsgi.errors'].write('has begun\\n');
        while (!existsSync(QUERY_STRING)) pause(5);
        take(input.read());
        environ['wsgi.errors'].write(hash.copy().digest('hex') + '\\n');
      } else if (PATH_INFO === '/slowly') {
        for (let n = 0; n < 40; n += 1) { take(input.read(10000)); pause(50); }
      } else {
        for (const size of [1, 7, 4096, 65536, 65537, 300000, 0]) take(input.read(size));
        take(input.readline());
        take(input.readline(5));
        for (const line of input.readlines(100000)) take(line);
        while (take(input.read(65536)));
      }
      startResponse('200 OK', []);
      return [hash.digest('hex')];
    }`,
  python: `
import os, time
from hashlib import sha1
def application(environ, start_response):
    path, read = environ['PATH_INFO'], environ['wsgi.input'].read
    found = sha1()
    if path == '/waits':
        found.update(read(100000))
        environ['wsgi.errors'].write('has begun\\n')
        while not os.path.exists(environ['QUERY_STRING']): time.sleep(0.005)
        found.update(read())
        environ['wsgi.errors'].write(found.hexdigest() + '\\n')
    elif path == '/slowly':
        for _ in range(40):
            found.update(read(10000))
            time.sleep(0.05)
    else:
        for size in (1, 7, 4096, 65536, 65537, 300000, 0): found.update(read(size))
        found.update(environ['wsgi.input'].readline())
        found.update(environ['wsgi.input'].readline(5))
        for line in environ['wsgi.input'].readlines(100000): found.update(line)
        while piece := read(65536): found.update(piece)
    start_response('200 OK', [])
    return [found.hexdigest().encode()]
`,
};

async function serve(language: Language, settings: UserSettings = {}) {
  const name = language === 'javascript' ? 'reads.mjs' : 'reads.py';
  const folder = makeFolder({ [name]: sources[language] });
  const running = await startServer({
    application: `${join(folder, name)}:application`,
    python: venv,
    bufferDirectory: folder,
    ...settings,
  });
  const openFiles = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/lido-`);
      } catch {
        return false;
      }
    }).length;
  return { ...running, folder, openFiles };
}

function upload(path: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(get(path, `Content-Length: ${body.length}\r\n`, 'POST')), body]);
}

describe.each(languages)('a body in a file, of a %s application', (language) => {
  it('is read in pieces and lines of any size, and leaves nothing behind', async () => {
    const { port, openFiles } = await serve(language);
    const body = makeBytes(5 * MiB + 1);
    const client = new RawClient(port);
    for (let count = 0; count < 3; count += 1) {
      client.send(upload('/digest', body));
      expect((await client.readResponse()).body.toString()).toBe(digest(body));
    }
    await vi.waitUntil(() => openFiles() === 0, SOON);
  });

  it('is open twice while it is read, so that it is read to its end although its client is gone', async () => {
    const { port, folder, openFiles, findLine, server } = await serve(language);
    const body = makeBytes(3 * MiB);
    const client = new RawClient(port);
    client.send(upload(`/waits?${folder}/go`, body));
    await findLine(({ msg }) => msg === 'has begun');
    expect(openFiles()).toBe(2);
    client.socket.resetAndDestroy();
    await vi.waitUntil(() => server.stats()[0]?.answered === 1);
    expect(openFiles()).toBe(2);
    writeFileSync(join(folder, 'go'), '');
    await findLine(({ msg }) => msg === digest(body));
    await vi.waitUntil(() => openFiles() === 0, SOON);
  });

  it('is as whole for the request behind, and closed where the client of that one goes', async () => {
    const { port, folder, openFiles, findLine } = await serve(language);
    const body = makeBytes(3 * MiB);
    const first = exchange(port, upload(`/waits?${folder}/go`, body));
    await findLine(({ msg }) => msg === 'has begun');
    const second = exchange(port, upload('/digest', body));
    await vi.waitUntil(() => openFiles() === 3, SOON);
    const third = new RawClient(port);
    third.send(upload('/digest', body));
    await vi.waitUntil(() => openFiles() === 4, SOON);
    third.socket.resetAndDestroy();
    await vi.waitUntil(() => openFiles() === 3, SOON);
    writeFileSync(join(folder, 'go'), '');
    expect((await first).body.toString()).toBe(digest(body));
    expect((await second).body.toString()).toBe(digest(body));
    await vi.waitUntil(() => openFiles() === 0, SOON);
  });

  it('keeps its request from being overdue while it is read', async () => {
    const { port } = await serve(language, { timeout: 1 });
    const body = makeBytes(2 * MiB);
    const { status, body: answer } = await exchange(port, upload('/slowly', body));
    expect([status, answer.toString()]).toEqual([200, digest(body.subarray(0, 400_000))]);
  });
});

describe.each(languages)('a body, of a %s application', (language) => {
  it('is the same whatever its size', async () => {
    const { port } = await serve(language);
    const client = new RawClient(port);
    const sizes = [64, 128, 256, 1024].map((kib) => kib * 1024);
    for (const size of [...sizes, ...sizes.map((size) => size + 1)]) {
      const body = makeBytes(size);
      client.send(upload('/digest', body));
      expect([size, (await client.readResponse()).body.toString()]).toEqual([size, digest(body)]);
    }
  });

  it('is whole for each of many that wait for one worker, though not all have room beside it', async () => {
    const { port, folder, findLine, server } = await serve(language);
    const first = exchange(port, upload(`/waits?${folder}/go`, makeBytes(200_000)));
    await findLine(({ msg }) => msg === 'has begun');
    const bodies = Array.from({ length: 12 }, (_, n) => makeBytes(150_000 + n * 9000));
    const answers = bodies.map((body) => exchange(port, upload('/digest', body)));
    await vi.waitUntil(() => (server.stats()[0]?.waiting ?? 0) + (server.stats()[0]?.sent ?? 0) === 13);
    writeFileSync(join(folder, 'go'), '');
    await first;
    const found = await Promise.all(answers);
    expect(found.map(({ body }) => body.toString())).toEqual(bodies.map(digest));
  });
});

it('a body in a file is closed where the worker that reads it dies', async () => {
  const { port, openFiles } = await serve('javascript');
  const body = makeBytes(3 * MiB);
  expect((await exchange(port, upload('/dies', body))).status).toBe(500);
  await vi.waitUntil(() => openFiles() === 0, SOON);
  expect((await exchange(port, upload('/digest', body))).body.toString()).toBe(digest(body));
});

describe('a long body', () => {
  /** What a process has open, by its number. */
  function findSockets(pid: string): string[] {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return fd;
      }
    });
    return links.filter((link) => link.startsWith('socket:'));
  }

  /** Connections that this process has open by two descriptors. */
  function countTwins(): number {
    const sockets = findSockets('self');
    return sockets.length - new Set(sockets).size;
  }

  /** Sends 2 of 5 MiB. What reads them by a descriptor of its own is loaded with the first long body. */
  async function begin(port: number): Promise<RawClient> {
    await exchange(port, upload('/digest', makeBytes(2 * MiB)));
    await import('../dist/src/system-calls.js');
    const client = new RawClient(port);
    client.send(upload('/digest', makeBytes(5 * MiB)).subarray(0, 2 * MiB));
    await vi.waitUntil(() => countTwins() === 1);
    return client;
  }

  it.each(['127.0.0.1', 'unix'])(
    'ends where it ends, and what is behind it comes as always: %s',
    async (where) => {
      const folder = makeFolder({});
      const path = join(folder, 'lido.sock');
      const { port } = await serve('javascript', where === 'unix' ? { bind: [`unix:${path}`] } : {});
      const client = new RawClient(where === 'unix' ? path : port);
      const bodies = [3 * MiB, 2 * MiB + 1, 10, 5 * MiB - 1].map(makeBytes);
      client.send(Buffer.concat([...bodies, ...bodies].map((body) => upload('/digest', body))));
      for (const body of [...bodies, ...bodies])
        expect((await client.readResponse()).body.toString()).toBe(digest(body));
    },
  );

  it('that breaks off is answered so, and leaves nothing behind', async () => {
    const { port, openFiles } = await serve('javascript');
    const client = await begin(port);
    client.socket.end();
    expect((await client.readResponse()).status).toBe(400);
    await vi.waitUntil(() => openFiles() === 0 && countTwins() === 0);
  });

  it('has no part in programs that are started meanwhile: its client would wait for their end', async () => {
    const { port } = await serve('javascript');
    const before = findSockets('self');
    await begin(port);
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill());
    await once(child, 'spawn');
    expect(findSockets('self').length).toBeGreaterThan(before.length);
    expect(findSockets(String(child.pid)).filter((socket) => !before.includes(socket))).toEqual([]);
  });

  it('whose client is gone leaves nothing behind', async () => {
    const { port, openFiles } = await serve('javascript');
    const client = await begin(port);
    client.socket.resetAndDestroy();
    await vi.waitUntil(() => openFiles() === 0 && countTwins() === 0);
  });

  it('that pauses for too long is refused, and what it sends after that is not read for ever', async () => {
    const { port, openFiles } = await serve('javascript', { bodyTimeout: 0.2 });
    const client = await begin(port);
    expect((await client.readResponse()).status).toBe(408);
    client.send(makeBytes(3 * MiB));
    expect(await client.closes()).toBe(true);
    await vi.waitUntil(() => openFiles() === 0);
  });

  it('over TLS comes in packets, and is not copied for a reader that there cannot be', async () => {
    const folder = makeFolder({});
    const words =
      '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a -keyout a.key -out a.pem';
    execFileSync('openssl', ['req', '-x509', ...words.split(' ')], { cwd: folder, stdio: 'ignore' });
    const room = vi.spyOn(Spool.prototype, 'room');
    onTestFinished(() => room.mockRestore());
    const certificate = { certfile: [join(folder, 'a.pem')], keyfile: [join(folder, 'a.key')] };
    const { port } = await serve('javascript', certificate);
    const body = makeBytes(3 * MiB);
    const headers = { 'Content-Length': body.length };
    const where = { host: '127.0.0.1', port, path: '/digest', rejectUnauthorized: false, agent: false };
    const sent = request({ ...where, method: 'POST', headers }).end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(await text(response)).toBe(digest(body));
    expect(room).not.toHaveBeenCalled();
  });
});
