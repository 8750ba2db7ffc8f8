// Blocks of answers lie in memory that worker and main thread share until a socket has taken them.
import http from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeFolder } from './support/command.js';
import { type Language, languages, startServer, venv } from './support/server.js';

/** As many blocks as the query says, of many sizes, each of bytes that tell its place. */
const applications: Record<Language, string> = {
  javascript: `
    export function application({ QUERY_STRING }, startResponse) {
      startResponse('200 OK', []);
      return blocks(Number(QUERY_STRING));
    }
    function* blocks(count) {
      for (let n = 0; n < count; n += 1) yield Buffer.alloc(1 + ((n * 7919) % 20011), n % 256);
    }`,
  python: `
def application(environ, start_response):
    start_response('200 OK', [])
    for n in range(int(environ['QUERY_STRING'])):
        yield bytes([n % 256]) * (1 + (n * 7919) % 20011)
`,
};

function expectedBody(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, n) => Buffer.alloc(1 + ((n * 7919) % 20011), n % 256)),
  );
}

function request(socketPath: string, count: number): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ socketPath, path: `/?${count}`, agent: false }, resolve).on('error', reject);
  });
}

async function read(response: http.IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await response.toArray());
}

it('the end of an answer that nobody takes is dropped with its connection', async () => {
  const folder = makeFolder({ 'blocks.mjs': applications.javascript });
  const socketPath = join(folder, 'lido.sock');
  const application = `${join(folder, 'blocks.mjs')}:application`;
  const { server } = await startServer({ application, bind: [`unix:${socketPath}`], sendTimeout: 1 });
  const socket = connect(socketPath);
  onTestFinished(() => void socket.destroy());
  socket.write('GET /?28 HTTP/1.1\r\nHost: a\r\n\r\n');
  const refused = new Promise<void>((resolve) => socket.once('error', () => resolve()));
  // The worker is done with it, and nothing else would end this connection.
  while (server.stats()[0]?.busy === 0) await new Promise(setImmediate);
  while (server.stats()[0]?.busy === 1) await new Promise(setImmediate);
  const probe = setInterval(() => socket.write('GET'), 50);
  onTestFinished(() => clearInterval(probe));
  await refused;
});

describe.each(languages)('answers of %s', (language) => {
  it('are whole for clients that read late, and for those whom the worker serves meanwhile', async () => {
    const file = language === 'javascript' ? 'blocks.mjs' : 'blocks.py';
    const folder = makeFolder({ [file]: applications[language] });
    // A Unix socket holds little, so that what is not read stays in the server.
    const socketPath = join(folder, 'lido.sock');
    const application = `${join(folder, file)}:application`;
    await startServer({ application, python: venv, bind: [`unix:${socketPath}`] });

    // Together they leave little room in what the threads share.
    const unread = [];
    for (const count of [28, 28, 28, 28, 28, 28, 28]) unread.push(await request(socketPath, count));
    for (const count of [70, 200, 70]) {
      const body = await read(await request(socketPath, count));
      expect(body.equals(expectedBody(count))).toBe(true);
    }
    for (const answer of unread) expect((await read(answer)).equals(expectedBody(28))).toBe(true);
    expect((await read(await request(socketPath, 200))).equals(expectedBody(200))).toBe(true);
  });
});
