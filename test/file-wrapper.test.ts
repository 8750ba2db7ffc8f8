// wsgi.file_wrapper: regular files leave the worker at once, everything else goes by blocks; over real sockets.
import { readdirSync, readlinkSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type Language, languages, type RunningServer, startServer, venv } from './support/server.js';

const SIZE = 20_000_000;
const CONTENT = Buffer.from(
  Array.from({ length: SIZE / 10 }, (_, n) => String(n).padStart(10, '0')).join(''),
);

/** The query has what is sent: large, small, position, shorter, longer, pipe, like, noContent. */
const applications: Record<Language, string> = {
  javascript: `
    import { closeSync, openSync, readSync } from 'node:fs';
    export function application(environ, startResponse) {
      const kind = environ.QUERY_STRING;
      const headers = [['Content-Type', 'text/plain']];
      if (kind === 'shorter') headers.push(['Content-Length', '100000']);
      if (kind === 'longer') headers.push(['Content-Length', '${SIZE + 1}']);
      startResponse(kind === 'noContent' ? '204 No Content' : '200 OK', headers);
      if (kind === 'hello') return ['hello'];
      if (kind === 'nothing') return environ['wsgi.file_wrapper']({});
      const fd = openSync(new URL(kind === 'small' ? 'small' : 'large', import.meta.url));
      const file = { fd, close() { closeSync(fd); environ['wsgi.errors'].write('closed\\n'); } };
      if (kind === 'position') file.position = ${SIZE - 100_000};
      if (kind === 'like') {
        delete file.fd;
        file.read = (size) => {
          const block = Buffer.alloc(size);
          return block.subarray(0, readSync(fd, block, 0, size, null));
        };
      }
      return environ['wsgi.file_wrapper'](file);
    }`,
  python: `
import io
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent

class Reader(io.FileIO):
    """Reads something else than what its descriptor holds."""
    def read(self, size=-1):
        return super().read(size)

class Shouting:
    """Keeps a file as tempfile's wrapper and Django's File do, and reads something else than that holds."""
    def __init__(self, file):
        self.file = file
    def read(self, size=-1):
        return self.file.read(size).replace(b'0', b'!')

class Proxy:
    """Keeps a file, and reads it as it is."""
    def __init__(self, file):
        self.file = file
        self.read = file.read

def wrap(kind, path):
    if kind == 'shouting':
        return Shouting(open(path, 'rb'))
    if kind == 'replaced':
        file = open(path, 'rb')
        read = file.read
        file.read = lambda size=-1: read(size).replace(b'0', b'!')
        return file
    if kind == 'proxy':
        return Proxy(open(path, 'rb'))
    if kind == 'text':
        return open(path)
    # Not flushed, not closed by hand, and gone from the folder: the descriptor is all that there is.
    file = tempfile.NamedTemporaryFile() if kind == 'named' else tempfile.TemporaryFile()
    file.write(path.read_bytes())
    file.seek(10)
    return file

def application(environ, start_response):
    kind = environ['QUERY_STRING']
    headers = [('Content-Type', 'text/plain')]
    if kind == 'shorter':
        headers.append(('Content-Length', '100000'))
    if kind == 'longer':
        headers.append(('Content-Length', '${SIZE + 1}'))
    start_response('204 No Content' if kind == 'noContent' else '200 OK', headers)
    if kind == 'hello':
        return [b'hello']
    if kind == 'nothing':
        return environ['wsgi.file_wrapper'](object())
    path = FOLDER / ('small' if kind == 'small' else 'large')
    if kind in ('shouting', 'replaced', 'proxy', 'text', 'named', 'unnamed'):
        return environ['wsgi.file_wrapper'](wrap(kind, path))
    file = Reader(path) if kind == 'like' else open(path, 'rb')
    if kind == 'position':
        file.read(10)
        file.seek(${SIZE - 100_000})
    close = file.close
    def close_and_log():
        close()
        environ['wsgi.errors'].write('closed\\n')
    file.close = close_and_log
    return environ['wsgi.file_wrapper'](file)
`,
};

let served = 0;

async function serve(language: Language): Promise<RunningServer & { readonly folder: string }> {
  // One Python serves all: a module's name stands for one file.
  served += 1;
  const file = `files${served}.${language === 'javascript' ? 'mjs' : 'py'}`;
  const folder = makeFolder({
    [file]: applications[language],
    large: CONTENT.toString(),
    small: 'small file',
  });
  const running = await startServer({ application: `${join(folder, file)}:application`, python: venv });
  return { ...running, folder };
}

function countClosed({ lines }: RunningServer): number {
  return lines.filter(({ msg }) => msg === 'closed').length;
}

/** Descriptors of this process that hold a file of the folder. */
function findOpen(folder: string): string[] {
  return readdirSync('/proc/self/fd').filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

async function untilClosed(folder: string): Promise<void> {
  while (findOpen(folder).length > 0) await new Promise(setImmediate);
}

describe.each(languages)('a file of %s', (language) => {
  it.each([
    ['large', CONTENT],
    ['small', Buffer.from('small file')],
    ['position', CONTENT.subarray(-100_000)],
    ['shorter', CONTENT.subarray(0, 100_000)],
  ])('is sent whole with its length, and closed once: %s', async (kind, expected) => {
    const running = await serve(language);
    const { status, headers, body } = await exchange(running.port, get(`/?${kind}`));
    expect([status, headers['content-length']]).toEqual([200, String(expected.length)]);
    expect(body.equals(expected)).toBe(true);
    await running.findLine(({ msg }) => msg === 'closed');
    expect(await exchange(running.port, get('/?hello'))).toMatchObject({ status: 200 });
    expect(countClosed(running)).toBe(1);
    await untilClosed(running.folder);
  });

  it('goes by blocks where it has no descriptor of its own', async () => {
    const running = await serve(language);
    const { framing, body } = await exchange(running.port, get('/?like'));
    expect([framing, body.equals(CONTENT)]).toEqual(['chunked', true]);
  });

  it('leaves the worker to others while a client takes it slowly', async () => {
    const running = await serve(language);
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(`${running.url}/?large`, { agent: false }, resolve).on('error', reject);
    });
    expect(await exchange(running.port, get('/?hello'))).toMatchObject({ status: 200 });
    expect(countClosed(running)).toBe(1);
    expect(Buffer.concat(await response.toArray()).equals(CONTENT)).toBe(true);
  });

  it('is sent to its end while the server closes', async () => {
    const { url, server, port } = await serve(language);
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get(`${url}/?large`, { agent: false }, resolve).on('error', reject);
    });
    expect(await exchange(port, get('/?hello'))).toMatchObject({ status: 200 });
    const closed = server.close();
    expect(Buffer.concat(await response.toArray()).equals(CONTENT)).toBe(true);
    await closed;
  });

  it('has no body for HEAD and for 204, but a length for the first', async () => {
    const running = await serve(language);
    const head = await exchange(running.port, get('/?large', '', 'HEAD'), 'HEAD');
    expect(head.headers['content-length']).toBe(String(SIZE));
    const none = await exchange(running.port, get('/?noContent'));
    expect([none.status, none.framing, none.headers['content-length']]).toEqual([204, 'none', undefined]);
    await untilClosed(running.folder);
  });

  it('that is shorter than was declared ends the connection, not the response', async () => {
    const running = await serve(language);
    const client = new RawClient(running.port);
    client.send(get('/?longer'));
    const text = await client.readAll();
    expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(SIZE);
    expect((await running.findLine(({ code }) => code !== undefined)).code).toBe('LIDO_BODY_TOO_SHORT');
  });

  it('is closed when its client goes away', async () => {
    const running = await serve(language);
    const client = new RawClient(running.port);
    client.send(get('/?large'));
    await client.readUntil('\r\n\r\n');
    client.socket.destroy();
    await untilClosed(running.folder);
    expect(await exchange(running.port, get('/?hello'))).toMatchObject({ status: 200 });
    expect(countClosed(running)).toBe(1);
  });

  it('is an error where it is none', async () => {
    const running = await serve(language);
    expect((await exchange(running.port, get('/?nothing'))).status).toBe(500);
  });
});

describe('an object that keeps a file, in Python,', () => {
  it.each([
    ['shouting', 'chunked', Buffer.from(CONTENT.toString().replaceAll('0', '!'))],
    ['replaced', 'chunked', Buffer.from(CONTENT.toString().replaceAll('0', '!'))],
    ['proxy', 'length', CONTENT],
    ['named', 'length', CONTENT.subarray(10)],
    ['unnamed', 'length', CONTENT.subarray(10)],
  ])('is sent as its own read() gives it: %s', async (kind, framing, expected) => {
    const { port } = await serve('python');
    const response = await exchange(port, get(`/?${kind}`));
    expect([response.framing, response.body.equals(expected)]).toEqual([framing, true]);
  });

  it('is refused when it holds text', async () => {
    const running = await serve('python');
    expect((await exchange(running.port, get('/?text'))).status).toBe(500);
    expect((await running.findLine(({ code }) => code !== undefined)).code).toBe('LIDO_BLOCK_NOT_BYTES');
  });
});
