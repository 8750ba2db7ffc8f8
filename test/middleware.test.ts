// lido/paths and lido/static over real sockets, under --validate; and middleware around applications in both languages.
import { mkdirSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paths } from '../dist/middleware/paths.js';
import { staticFiles } from '../dist/middleware/static.js';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { languages, root, startServer, venv } from './support/server.js';

const PAGE = '<p>0123456789</p>';
const DAY = 86_400;

describe('lido/paths', () => {
  const source = `
    import { paths } from '${root}dist/middleware/paths.js';
    const show = (name) => (environ, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return [[name, environ.SCRIPT_NAME, environ.PATH_INFO].join(' ')];
    };
    export const application = paths({ '/shop': show('shop'), '/shop/admin': show('admin'), '/caf\u00e9': show('caf\u00e9') });
    export const nested = paths({ '/a': paths({ '/b': show('b') }), '/': show('root') });`;

  it.each([
    ['application', '/shop', 'shop /shop '],
    ['application', '/shop/', 'shop /shop /'],
    ['application', '/shop/cart', 'shop /shop /cart'],
    ['application', '/shop/admin/x', 'admin /shop/admin /x'],
    ['application', '/shop/administrator', 'shop /shop /administrator'],
    ['application', '/caf%C3%A9/x', 'caf\u00e9 /caf\u00c3\u00a9 /x'],
    ['application', '/shopping', 'Not Found\n'],
    ['application', '/', 'Not Found\n'],
    ['nested', '/a/b/c', 'b /a/b /c'],
    ['nested', '/a/c', 'Not Found\n'],
    ['nested', '/c', 'root  /c'],
  ])('%s answers %s with %j', async (name, path, expected) => {
    const folder = makeFolder({ 'shop.mjs': source });
    const { port } = await startServer({ application: `${folder}/shop.mjs:${name}`, validate: true });
    const { body, status } = await exchange(port, get(path));
    expect([status, body.toString()]).toEqual([expected === 'Not Found\n' ? 404 : 200, expected]);
  });

  it.each(['shop', '/shop/', '', '//', '/a//b'])('refuses the prefix %j', (prefix) => {
    expect(() => paths({ [prefix]: () => [] })).toThrow(
      `paths() takes prefixes like "/shop" and "/", not ${JSON.stringify(prefix)}`,
    );
  });

  it('refuses what is no application', () => {
    expect(() => paths({ '/a': 'shop' as never })).toThrow(
      'paths() takes an application, a function, for /a',
    );
  });
});

async function serveFolder() {
  const files = {
    'files.mjs': `
      import { staticFiles } from '${root}dist/middleware/static.js';
      export const application = staticFiles(new URL('public', import.meta.url), { maxAge: 60 });`,
    'secret.txt': 'secret',
    'public/page.html': PAGE,
    'public/index.html': 'index',
    'public/empty.txt': '',
    'public/data.bin': 'x',
    'public/.hidden': 'hidden',
    'public/sub/index.html': 'sub index',
    'public/sub/\u00fcber 1?.txt': 'named',
    'public/large.txt': 'x'.repeat(200_000),
  };
  const folder = makeFolder(files);
  symlinkSync('../secret.txt', join(folder, 'public/link.txt'));
  symlinkSync('page.html', join(folder, 'public/alias.html'));
  mkdirSync(join(folder, 'public/bare'));
  const page = join(folder, 'public/page.html');
  utimesSync(page, DAY, DAY);
  const { mtimeMs, size } = statSync(page);
  const etag = `"${mtimeMs.toString(16)}-${size.toString(16)}"`;
  const { port } = await startServer({ application: `${folder}/files.mjs`, validate: true });
  const ask = (path: string, fields = '', method = 'GET') =>
    exchange(port, get(path, fields, method), method).then((response) => ({
      ...response,
      text: response.body.toString(),
    }));
  return { ask, etag };
}

describe('lido/static', () => {
  it('serves files with type, length, date and etag', async () => {
    const { ask, etag } = await serveFolder();
    const { status, headers, text } = await ask('/page.html');
    expect([status, text]).toEqual([200, PAGE]);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-length': String(PAGE.length),
      'cache-control': 'public, max-age=60',
      'last-modified': 'Fri, 02 Jan 1970 00:00:00 GMT',
      'accept-ranges': 'bytes',
      etag,
    });
    expect((await ask('/data.bin')).headers['content-type']).toBe('application/octet-stream');
    expect((await ask('/large.txt')).text).toHaveLength(200_000);
    expect((await ask('/empty.txt')).status).toBe(200);
    expect((await ask('/sub/%C3%BCber%201%3F.txt')).text).toBe('named');
    expect((await ask('/alias.html')).text).toBe(PAGE);
    const head = await ask('/page.html', '', 'HEAD');
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, String(PAGE.length), '']);
  });

  it.each([
    ['/', 200, 'index'],
    ['/sub/', 200, 'sub index'],
    ['/sub', 301, 'Moved Permanently\n'],
    ['/bare/', 404, 'Not Found\n'],
    ['/page.html/', 404, 'Not Found\n'],
    ['/none', 404, 'Not Found\n'],
    ['/.hidden', 404, 'Not Found\n'],
    ['/link.txt', 404, 'Not Found\n'],
    ['/../secret.txt', 404, 'Not Found\n'],
    ['/sub/../../secret.txt', 404, 'Not Found\n'],
    ['/..%2fsecret.txt', 404, 'Not Found\n'],
    ['/%2e%2e/secret.txt', 404, 'Not Found\n'],
    ['//etc/passwd', 404, 'Not Found\n'],
    ['/a%00.html', null, null],
  ])('answers %s with %s', async (path, status, text) => {
    const { ask } = await serveFolder();
    const answer = await ask(path);
    if (status === null) expect(answer.status).toBeGreaterThanOrEqual(400);
    else expect([answer.status, answer.text]).toEqual([status, text]);
  });

  it('sends a folder without its slash to the same host', async () => {
    const { ask } = await serveFolder();
    expect((await ask('/sub?a=b')).headers.location).toBe('/sub/?a=b');
    expect((await ask('//sub')).headers.location).toBe('/sub/');
  });

  it.each<[fields: (etag: string) => string, status: number]>([
    [(etag) => `If-None-Match: ${etag}\r\n`, 304],
    [(etag) => `If-None-Match: "x", W/${etag}\r\n`, 304],
    [() => 'If-None-Match: "x"\r\n', 200],
    [() => 'If-Modified-Since: Fri, 02 Jan 1970 00:00:00 GMT\r\n', 304],
    [() => 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n', 200],
    [() => 'If-Modified-Since: yesterday\r\n', 200],
    [() => 'If-Match: "x"\r\n', 412],
    [(etag) => `If-Match: "x", ${etag}\r\n`, 200],
    [() => 'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n', 412],
    [() => 'If-Unmodified-Since: Fri, 02 Jan 1970 00:00:00 GMT\r\n', 200],
  ])('answers a condition: %s, %s', async (fields, status) => {
    const { ask, etag } = await serveFolder();
    const answer = await ask('/page.html', fields(etag));
    expect(answer.status).toBe(status);
    expect(answer.text).toBe(status === 200 ? PAGE : '');
  });

  it.each<[range: string, condition: (etag: string) => string, status: number, text: string, field?: string]>(
    [
      ['bytes=0-4', () => '', 206, PAGE.slice(0, 5), `bytes 0-4/${PAGE.length}`],
      ['bytes=3-', () => '', 206, PAGE.slice(3), `bytes 3-${PAGE.length - 1}/${PAGE.length}`],
      [
        'bytes=-4',
        () => '',
        206,
        PAGE.slice(-4),
        `bytes ${PAGE.length - 4}-${PAGE.length - 1}/${PAGE.length}`,
      ],
      ['bytes=-1000', () => '', 206, PAGE, `bytes 0-${PAGE.length - 1}/${PAGE.length}`],
      ['bytes=-99999999999999999999', () => '', 206, PAGE, `bytes 0-${PAGE.length - 1}/${PAGE.length}`],
      ['bytes=-0', () => '', 416, '', `bytes */${PAGE.length}`],
      ['bytes=2-1000', () => '', 206, PAGE.slice(2), `bytes 2-${PAGE.length - 1}/${PAGE.length}`],
      ['bytes=1000-', () => '', 416, '', `bytes */${PAGE.length}`],
      ['bytes=0-1,4-5', () => '', 200, PAGE],
      ['lines=0-1', () => '', 200, PAGE],
      ['bytes=a-b', () => '', 200, PAGE],
      ['bytes=0-4', (etag) => `If-Range: ${etag}\r\n`, 206, PAGE.slice(0, 5)],
      ['bytes=0-4', () => 'If-Range: "old"\r\n', 200, PAGE],
      ['bytes=0-4', () => 'If-Range: Fri, 02 Jan 1970 00:00:00 GMT\r\n', 206, PAGE.slice(0, 5)],
      ['bytes=0-4', () => 'If-Range: Thu, 01 Jan 1970 00:00:00 GMT\r\n', 200, PAGE],
    ],
  )('answers a range: %s, %s', async (range, condition, status, text, field) => {
    const { ask, etag } = await serveFolder();
    const answer = await ask('/page.html', `Range: ${range}\r\n${condition(etag)}`);
    expect([answer.status, answer.text]).toEqual([status, text]);
    if (field !== undefined) expect(answer.headers['content-range']).toBe(field);
  });

  it('knows ranges for GET alone', async () => {
    const { ask } = await serveFolder();
    const { status, headers } = await ask('/page.html', 'Range: bytes=0-4\r\n', 'HEAD');
    expect([status, headers['content-length'], headers['content-range']]).toEqual([
      200,
      String(PAGE.length),
      undefined,
    ]);
  });

  it('refuses other methods, and folders that are not there', async () => {
    const { ask } = await serveFolder();
    const answer = await ask('/page.html', '', 'DELETE');
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
    expect(() => staticFiles('/no/such/folder')).toThrow('ENOENT');
  });
});

describe.each(languages)('middleware in %s', (language) => {
  const sources = {
    javascript: [
      'upper.mjs',
      `
      const inner = (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain'], ['Content-Length', '5']]);
        const blocks = [environ['upper.greeting'], ' you'];
        return { [Symbol.iterator]: () => blocks.values(), close: () => environ['wsgi.errors'].write('closed\\n') };
      };
      export const application = (environ, startResponse) => {
        environ['upper.greeting'] = 'h';
        const result = inner(environ, (status, headers, excInfo) =>
          startResponse('201 Created', [...headers.filter(([name]) => name !== 'Content-Length'), ['X-Upper', '1']], excInfo));
        return {
          *[Symbol.iterator]() { for (const block of result) yield block.toUpperCase(); },
          close: () => result.close?.(),
        };
      };`,
    ],
    python: [
      'upper.py',
      `
class Closing(list):
    def close(self):
        self.errors.write('closed\\n')

def inner(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '5')])
    blocks = Closing([environ['upper.greeting'].encode(), b' you'])
    blocks.errors = environ['wsgi.errors']
    return blocks

class Upper:
    def __init__(self, result):
        self.result = result
        if hasattr(result, 'close'):
            self.close = result.close
    def __iter__(self):
        for block in self.result:
            yield block.upper()

def application(environ, start_response):
    environ['upper.greeting'] = 'h'
    def start(status, headers, exc_info=None):
        kept = [(name, value) for name, value in headers if name != 'Content-Length']
        return start_response('201 Created', kept + [('X-Upper', '1')], exc_info)
    return Upper(inner(environ, start))
`,
    ],
  } as const;

  it('changes environ, status, headers and body, and keeps close()', async () => {
    const [file, source] = sources[language];
    const application = `${makeFolder({ [file]: source })}/${file}:application`;
    const { port, lines, findLine } = await startServer({ application, python: venv, validate: true });
    const { status, headers, body } = await exchange(port, get('/'));
    expect([status, headers['x-upper'], body.toString()]).toEqual([201, '1', 'H YOU']);
    // The client has the body before close() runs.
    await findLine(({ msg }) => msg === 'closed');
    expect(lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)).toEqual(['closed']);
  });
});
