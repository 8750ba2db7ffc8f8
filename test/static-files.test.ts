// Files that the main thread answers before the application: --static.
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { makeFolder, runLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

const CSS = 'body { color: blue }\n'.repeat(200);

function makeSite(): string {
  const folder = makeFolder({
    'site/site.css': CSS,
    'site/sub/page.html': '<p>page</p>',
    'site/plain.txt': 'plain text',
    'site/.hidden': 'secret',
    'site/sub/.git/config': 'secret',
    'outside.txt': 'secret',
    'site/with space é.txt': 'named',
  });
  writeFileSync(join(folder, 'site/site.css.br'), brotliCompressSync(CSS));
  writeFileSync(join(folder, 'site/site.css.gz'), gzipSync(CSS));
  symlinkSync(join(folder, 'outside.txt'), join(folder, 'site/link.txt'));
  symlinkSync(folder, join(folder, 'site/up'));
  return folder;
}

async function serve(settings: UserSettings = {}) {
  const folder = makeSite();
  const server = await startServer({
    ...fixture('javascript', 'showEnviron'),
    static: { '/static': join(folder, 'site') },
    ...settings,
  });
  return { ...server, folder };
}

describe('--static', () => {
  it('answers the files of a folder before the application, which answers everything else', async () => {
    const { port } = await serve();
    const css = await exchange(port, get('/static/site.css'));
    expect(css.status).toBe(200);
    expect(css.body.toString()).toBe(CSS);
    expect(css.headers).toMatchObject({
      'content-type': 'text/css; charset=utf-8',
      'content-length': String(CSS.length),
      'cache-control': 'public, max-age=0',
      'accept-ranges': 'bytes',
      vary: 'Accept-Encoding',
    });
    expect((await exchange(port, get('/static/sub/page.html?v=3'))).body.toString()).toBe('<p>page</p>');
    expect((await exchange(port, get('/static/with%20space%20%C3%A9.txt'))).body.toString()).toBe('named');
    for (const path of ['/static', '/static/', '/static/none.css', '/static/sub', '/staticsite.css', '/'])
      expect((await exchange(port, get(path))).body.toString()).toContain(`REQUEST_URI=${path}`);
    const posted = await exchange(
      port,
      'POST /static/site.css HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi',
    );
    expect(posted.body.toString()).toContain('REQUEST_METHOD=POST');
  });

  it.each([
    '/static/.hidden',
    '/static/sub/.git/config',
    '/static/../outside.txt',
    '/static/%2e%2e/outside.txt',
    '/static/%2e%2e%2foutside.txt',
    '/static/sub/..%5c..%5coutside.txt',
    '/static//etc/passwd',
    '/static/link.txt',
    '/static/up/outside.txt',
    '/static/up/site/plain.txt',
    '/static/plain.txt/',
  ])('shows nothing of %s', async (path) => {
    const { port } = await serve();
    const body = (await exchange(port, get(path))).body.toString();
    expect(body).toContain('REQUEST_METHOD=GET');
    expect(body).not.toContain('secret');
  });

  it('follows links where it is told to', async () => {
    const { port } = await serve({ staticLinks: true });
    expect((await exchange(port, get('/static/link.txt'))).body.toString()).toBe('secret');
  });

  it('says by the pattern how long a file lasts', async () => {
    const { port } = await serve({
      staticCacheControl: ['*.css=public, max-age=31536000, immutable', 'sub/**=no-store'],
    });
    const controlOf = async (path: string) => (await exchange(port, get(path))).headers['cache-control'];
    expect(await controlOf('/static/site.css')).toBe('public, max-age=31536000, immutable');
    expect(await controlOf('/static/sub/page.html')).toBe('no-store');
    expect(await controlOf('/static/plain.txt')).toBe('public, max-age=0');
  });

  it.each([
    ['br, gzip', 'br', brotliCompressSync(CSS)],
    ['gzip', 'gzip', gzipSync(CSS)],
    ['br;q=0, gzip;q=0.5', 'gzip', gzipSync(CSS)],
    ['deflate', undefined, Buffer.from(CSS)],
    ['identity;q=1, br;q=0.1', undefined, Buffer.from(CSS)],
  ])(
    'sends what lies compressed beside a file to a client that accepts %s',
    async (accepted, coding, bytes) => {
      const { port } = await serve();
      const answer = await exchange(port, get('/static/site.css', `Accept-Encoding: ${accepted}\r\n`));
      expect(answer.headers['content-encoding']).toBe(coding);
      expect(answer.headers['content-type']).toBe('text/css; charset=utf-8');
      expect(answer.body.equals(bytes)).toBe(true);
    },
  );

  it('answers conditions and ranges, and HEAD without a body', async () => {
    const { port } = await serve();
    const { headers } = await exchange(port, get('/static/plain.txt'));
    const ask = (fields: string) => exchange(port, get('/static/plain.txt', fields));
    expect((await ask(`If-None-Match: ${headers.etag}\r\n`)).status).toBe(304);
    expect((await ask(`If-Modified-Since: ${headers['last-modified']}\r\n`)).status).toBe(304);
    expect((await ask('If-Match: "other"\r\n')).status).toBe(412);
    const part = await ask('Range: bytes=6-\r\n');
    expect([part.status, part.body.toString()]).toEqual([206, 'text']);
    expect((await ask('Range: bytes=100-\r\n')).status).toBe(416);
    const client = new RawClient(port);
    client.send('HEAD /static/plain.txt HTTP/1.1\r\nHost: a\r\n\r\n');
    const head = await client.readUntil('\r\n\r\n');
    expect(head).toContain('Content-Length: 10');
    client.send(get('/static/plain.txt'));
    expect(await client.readUntil('plain text')).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('sends a large file as it lies on the disk, whole and in parts, and holds no worker for it', async () => {
    const { port, folder } = await serve();
    const large = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => index % 251));
    writeFileSync(join(folder, 'site/large.bin'), large);
    const whole = await exchange(port, get('/static/large.bin'));
    expect(whole.body.equals(large)).toBe(true);
    const part = await exchange(port, get('/static/large.bin', 'Range: bytes=1000000-2999998\r\n'));
    expect(part.body.equals(large.subarray(1_000_000, 2_999_999))).toBe(true);
  });

  it('serves a file that has changed, a second later at most', async () => {
    const { port, folder } = await serve();
    const file = join(folder, 'site/plain.txt');
    expect((await exchange(port, get('/static/plain.txt'))).body.toString()).toBe('plain text');
    writeFileSync(file, 'changed text');
    utimesSync(file, new Date(), new Date(Date.now() + 5000));
    await expect
      .poll(async () => (await exchange(port, get('/static/plain.txt'))).body.toString(), { timeout: 5000 })
      .toBe('changed text');
  });

  it('takes the longest path, refuses what the gate refuses, and serves beside mounts', async () => {
    const folder = makeSite();
    mkdirSync(join(folder, 'shop'));
    writeFileSync(join(folder, 'shop/plain.txt'), 'of the shop');
    const { application = '' } = fixture('javascript', 'showEnviron');
    const { port } = await startServer({
      mounts: { '/shop': application },
      static: { '/': join(folder, 'site'), '/shop/static': join(folder, 'shop') },
    });
    expect((await exchange(port, get('/plain.txt'))).body.toString()).toBe('plain text');
    expect((await exchange(port, get('/shop/static/plain.txt'))).body.toString()).toBe('of the shop');
    expect((await exchange(port, get('/shop/x'))).body.toString()).toContain('SCRIPT_NAME=/shop');
    expect((await exchange(port, get('/none'))).status).toBe(404);
    expect((await exchange(port, 'GET /plain.txt HTTP/1.1\r\n\r\n')).status).toBe(400);
  });

  it.each([
    [['--static', '/static=nowhere'], 'the folder nowhere for /static cannot be served'],
    [['--static', 'static=nowhere'], 'takes PATH=DIR, not "static=nowhere"'],
    [['--static', '/a=.', '--static', '/a=.'], 'names /a twice'],
    [['--static', '/a/../b=.'], 'a path looks like /shop'],
  ])('tells what is wrong with %j', async (words, expected) => {
    const folder = makeFolder({ 'hello.mjs': 'export const application = () => [];' });
    const { code, stderr } = await runLido([...words, 'hello.mjs'], { cwd: folder });
    expect(stderr).toContain(expected);
    expect(code).toBe(2);
  });
});
