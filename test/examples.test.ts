// Every example, served by the command as its first lines say, and asked over HTTP.
import { crc32, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isDoneWithout, openPage } from './support/chromium.js';
import { serveLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { root, venv } from './support/server.js';

async function serveExample(name: string, ...flags: string[]): Promise<{ url: string; port: number }> {
  const { url } = await serveLido(['--python', venv, ...flags, `examples/${name}`], { cwd: root });
  return { url, port: Number(new URL(url).port) };
}

async function fetchText(url: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(url, init);
  expect(response.ok, `${response.status} for ${url}`).toBe(true);
  return response.text();
}

describe.each(['hello.js', 'hello.py'])('%s', (name) => {
  it('greets, and shows a path in any script', async () => {
    const { url } = await serveExample(name);
    expect(await fetchText(`${url}/`)).toBe('Hello from Lido! You asked for /\n');
    expect(await fetchText(`${url}/café`)).toBe('Hello from Lido! You asked for /café\n');
  });
});

describe.each(['echo.js', 'echo.py'])('%s', (name) => {
  const upload = Buffer.from(Array.from({ length: 1_000_003 }, (_, index) => (index * 7919) % 251));

  it('returns an upload byte for byte, with its type, of known and of unknown length', async () => {
    const { url } = await serveExample(name);
    for (const body of [upload, new Blob([upload]).stream()]) {
      const headers = { 'Content-Type': 'image/x-test' };
      const init: RequestInit = { method: 'PUT', body, duplex: 'half', headers };
      const response = await fetch(url, init);
      expect(response.headers.get('content-type')).toBe('image/x-test');
      expect(Buffer.from(await response.arrayBuffer()).equals(upload)).toBe(true);
    }
  });

  it('sends back what has come before the rest is there', async () => {
    const { port } = await serveExample(name, '--no-request-buffering');
    const client = new RawClient(port);
    client.send(`PUT / HTTP/1.1\r\nHost: lido.test\r\nContent-Length: ${upload.length}\r\n\r\n`);
    client.send(upload.subarray(0, 400_000));
    await client.readUntil(upload.subarray(65_000, 65_100).toString('latin1'));
    client.send(upload.subarray(400_000));
    await client.readUntil('\r\n0\r\n\r\n');
  });
});

describe('chat.py', () => {
  it.skipIf(isDoneWithout)('lets two windows of a browser talk, and tells them of the end', async () => {
    const server = await serveLido(['--python', venv, 'examples/chat.py:app'], { cwd: root });
    const [one, other] = [await openPage(server.url), await openPage(server.url)];
    for (const { page } of [one, other]) await page.getByText('you are in').waitFor();
    await one.page.locator('#text').fill('is anybody there? ✓');
    await one.page.locator('#text').press('Enter');
    for (const { page } of [one, other]) await page.getByText('is anybody there? ✓').waitFor();
    server.child.kill('SIGTERM');
    for (const { page } of [one, other]) await page.getByText('closed with 1001').waitFor();
    expect([...one.faults, ...other.faults]).toEqual([]);
    expect(await server.ended).toMatchObject({ code: 0 });
  });
});

describe('site.js', () => {
  it('serves a page, and a part of the picture that it shows', async () => {
    const { url } = await serveExample('site.js');
    const [, source] = /src="([^"]+)"/.exec(await fetchText(url)) as RegExpExecArray;
    const response = await fetch(`${url}${source}`, { headers: { Range: 'bytes=1-3' } });
    expect([response.status, response.headers.get('content-type')]).toEqual([206, 'image/png']);
    expect(await response.text()).toBe('PNG');
  });
});

describe('mandelbrot.js', () => {
  it('has a page whose tiles are pictures', async () => {
    const { url } = await serveExample('mandelbrot.js');
    const page = await fetchText(url);
    const sources = [...page.matchAll(/src="([^"]+)"/g)].map(([, source]) => `${url}${source}`);
    expect(sources).toHaveLength(12);
    const response = await fetch(sources[5] as string);
    const picture = readPng(Buffer.from(await response.arrayBuffer()));
    expect([picture.width, picture.height]).toEqual([240, 200]);
  });

  it('sends a picture of the set row by row', async () => {
    const { port } = await serveExample('mandelbrot.js');
    const target = '/mandelbrot.png?x=-0.65&y=0&scale=0.05&width=64&height=48';
    const response = await exchange(port, get(target));
    expect(response.headers['content-type']).toBe('image/png');
    expect(response.chunks.length).toBeGreaterThanOrEqual(48);
    const picture = readPng(response.body);
    expect([picture.width, picture.height]).toEqual([64, 48]);
    expect(picture.pixel(32 + 13, 24), '0 is in the set').toBe(0);
    expect(picture.pixel(32 - 7, 24), '-1 is in the set').toBe(0);
    expect(picture.pixel(63, 0), 'a far corner is not').not.toBe(0);
  });

  it('answers 404 elsewhere', async () => {
    const { url } = await serveExample('mandelbrot.js');
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });
});

describe('typed.ts', () => {
  it('counts the words of a text, and refuses other methods', async () => {
    const { url } = await serveExample('typed.ts');
    const counted = await fetch(url, { method: 'POST', body: 'One pool,\ntwo pools, one lido\n' });
    expect(await counted.json()).toEqual({ one: 2, lido: 1, pool: 1, pools: 1, two: 1 });
    expect(counted.headers.get('server-timing')).toMatch(/^app;dur=\d+\.\d$/);
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('flask_app.py', () => {
  it('remembers who signed in, takes an upload, and streams', async () => {
    const { url } = await serveExample('flask_app.py:app');
    expect(await fetchText(url)).toContain('Who are you?');
    const form = new URLSearchParams({ name: 'Ada <Byron>' });
    const signIn = await fetch(`${url}/sign-in`, { method: 'POST', body: form, redirect: 'manual' });
    expect([signIn.status, signIn.headers.get('location')]).toEqual([302, '/']);
    const page = await fetchText(url, { headers: { cookie: readCookie(signIn) } });
    expect(page).toContain('Welcome back, Ada &lt;Byron&gt;');

    const upload = new FormData();
    upload.set('file', new Blob([Buffer.alloc(300_000)]), 'zeros.bin');
    const answer = await fetchText(`${url}/upload`, { method: 'POST', body: upload });
    expect(JSON.parse(answer)).toEqual({ name: 'zeros.bin', bytes: 300_000 });
    expect(await fetchText(`${url}/count/3`)).toBe('1\n2\n3\n');
  });
});

describe('django_app.py', () => {
  it('keeps notes', async () => {
    const { url } = await serveExample('django_app.py');
    expect(JSON.parse(await fetchText(url))).toEqual({ notes: [] });
    for (const text of ['swim', 'schwimmen, größer']) {
      const posted = await fetch(url, { method: 'POST', body: new URLSearchParams({ text }) });
      expect(posted.status).toBe(201);
    }
    expect(JSON.parse(await fetchText(url))).toEqual({ notes: ['swim', 'schwimmen, größer'] });
    expect(await fetchText(`${url}/2`)).toBe('schwimmen, größer');
    expect((await fetch(`${url}/3`)).status).toBe(404);
  });
});

describe('falcon_quotes.py', () => {
  it('lists, takes and shows quotes', async () => {
    const { url } = await serveExample('falcon_quotes.py');
    const quote = { author: 'Ada Lovelace', quote: 'Understand well as I may.' };
    const init = {
      method: 'POST',
      body: JSON.stringify(quote),
      headers: { 'Content-Type': 'application/json' },
    };
    const created = await fetch(`${url}/quotes`, init);
    expect([created.status, created.headers.get('location')]).toEqual([201, '/quotes/1']);
    expect(JSON.parse(await fetchText(`${url}/quotes/1`))).toEqual(quote);
    expect(JSON.parse(await fetchText(`${url}/quotes`)).quotes).toHaveLength(2);
    expect((await fetch(`${url}/quotes/2`)).status).toBe(404);
  });
});

describe('bottle_app.py', () => {
  it('takes a name in a form, keeps it in a cookie, and adds', async () => {
    const { url } = await serveExample('bottle_app.py');
    expect(await fetchText(url)).toContain('Hello, stranger');
    const form = new URLSearchParams({ name: 'Zoë' });
    const renamed = await fetch(url, { method: 'POST', body: form, redirect: 'manual' });
    expect(renamed.status).toBe(303);
    expect(await fetchText(url, { headers: { cookie: readCookie(renamed) } })).toContain('Hello, Zoë');
    expect(JSON.parse(await fetchText(`${url}/add/19/23`))).toEqual({ sum: 42 });
  });
});

describe('pyramid_app.py', () => {
  it('lists pools with their addresses, and shows one', async () => {
    const { url } = await serveExample('pyramid_app.py');
    const { pools } = JSON.parse(await fetchText(url));
    expect(pools.serpentine).toBe(`${url}/serpentine`);
    expect(await fetchText(pools.serpentine)).toBe('serpentine: 16 °C\n');
    expect((await fetch(`${url}/indoor`)).status).toBe(404);
  });
});

describe('mini_framework.py', () => {
  it('gives a POST handler both the query and the body', async () => {
    const { url } = await serveExample('mini_framework.py');
    const init = { method: 'POST', body: 'size=large' };
    expect(await fetchText(`${url}/order?table=4`, init)).toBe('one large lemonade for table 4\n');
    expect((await fetch(`${url}/menu`)).status).toBe(404);
  });
});

function readCookie(response: Response): string {
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

/** Reads a PNG with a palette whose rows are not filtered; checks every chunk's CRC. */
function readPng(file: Buffer) {
  expect(file.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const data: Buffer[] = [];
  let header = Buffer.alloc(0);
  let last = '';
  for (let offset = 8; offset < file.length; ) {
    const end = offset + 8 + file.readUInt32BE(offset);
    last = file.toString('latin1', offset + 4, offset + 8);
    const content = file.subarray(offset + 8, end);
    expect(file.readUInt32BE(end), `the CRC of ${last}`).toBe(crc32(file.subarray(offset + 4, end)));
    if (last === 'IHDR') header = Buffer.from(content);
    if (last === 'IDAT') data.push(content);
    offset = end + 4;
  }
  expect(last).toBe('IEND');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const rows = inflateSync(Buffer.concat(data));
  expect(rows.length).toBe((width + 1) * height);
  return { width, height, pixel: (x: number, y: number) => rows[y * (width + 1) + 1 + x] };
}
