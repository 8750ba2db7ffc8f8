// The same pages in five frameworks, asked over real sockets: test/frameworks/*_site.py.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Browser } from './support/browser.js';
import { serveDjangoSite } from './support/django-site.js';
import { exchange, get } from './support/raw-client.js';
import { root, startServer, venv } from './support/server.js';

const picture = readFileSync(`${root}docs/mandelbrot.png`);
const css = readFileSync(`${root}test/frameworks/static/site.css`, 'utf8');

interface Framework {
  readonly name: string;
  /** Starts the site on four threads. */
  serve(): Promise<string>;
  /** It reads no further than CONTENT_LENGTH, which a body of unknown length has only where it was collected. */
  readonly needsLength?: boolean;
  /** Its answers with files know no ranges. */
  readonly noRanges?: boolean;
  /** The pages of its own for errors, as far as a client sees them. */
  readonly pages: { readonly notFound: RegExp; readonly forbidden: RegExp; readonly failed: RegExp };
}

const frameworks: readonly Framework[] = [
  {
    name: 'Flask',
    serve: () => serveSite('flask_site'),
    pages: {
      notFound: /was not found on the server/,
      forbidden: /permission/,
      failed: /Internal Server Error/,
    },
  },
  {
    name: 'Django',
    serve: async () => (await serveDjangoSite(['--threads', '4'])).url,
    needsLength: true,
    noRanges: true,
    pages: {
      notFound: /not found on this server/,
      forbidden: /403 Forbidden/,
      failed: /Server Error \(500\)/,
    },
  },
  {
    name: 'Falcon',
    serve: () => serveSite('falcon_site'),
    noRanges: true,
    pages: { notFound: /404 Not Found/, forbidden: /not for you/, failed: /500 Internal Server Error/ },
  },
  {
    name: 'Bottle',
    serve: () => serveSite('bottle_site'),
    needsLength: true,
    pages: { notFound: /Not found: .*nowhere/, forbidden: /Error: 403/, failed: /Internal Server Error/ },
  },
  {
    name: 'Pyramid',
    serve: () => serveSite('pyramid_site'),
    // It has no page for an exception: that reaches the server.
    pages: { notFound: /404 Not Found/, forbidden: /not for you/, failed: /Internal Server Error/ },
  },
];

describe.each(frameworks)('$name', ({ serve, pages, needsLength = false, noRanges = false }) => {
  it('knows a visitor again, takes a form, and tells it once', async () => {
    const url = await serve();
    const browser = new Browser(url);
    expect(await browser.text('/')).toContain('stranger, visit 1');
    expect(await browser.text('/')).toContain('stranger, visit 2');
    const token = /value="([^"]+)"/.exec((await (await browser.fetch('/form')).text()) ?? '')?.[1];
    const form = { name: 'Zoë <Ångström>', csrfmiddlewaretoken: token ?? '' };
    const posted = await browser.post('/form', form);
    expect([posted.status, new URL(posted.headers.get('location') ?? '', url).href]).toEqual([
      303,
      `${url}/`,
    ]);
    expect(await browser.text('/')).toMatch(
      /Zoë &lt;Ångström&gt;, visit 3.*<b>Hello, Zoë (<|&lt;)Ångström(>|&gt;)<\/b>/s,
    );
    expect(await browser.text('/')).toMatch(/visit 4<\/p>\s*$/);
    expect(await new Browser(url).text('/')).toContain('stranger, visit 1');
  });

  it('takes several files of a form, small and large, with their names', async () => {
    const url = await serve();
    const files = [
      { name: 'größe.png', bytes: picture },
      { name: 'empty.txt', bytes: Buffer.alloc(0) },
      { name: 'big.bin', bytes: Buffer.alloc(3_000_000, 'lido') },
    ];
    const form = new FormData();
    form.set('note', 'drei Stück');
    for (const { name, bytes } of files) form.append('file', new Blob([bytes]), name);
    const response = await new Browser(url).post('/upload', form);
    expect(await response.json()).toEqual({
      note: 'drei Stück',
      files: files.map(({ name, bytes }) => ({ name, size: bytes.length, sha256: hash(bytes) })),
    });
  });

  it('reads a raw body, of known and of unknown length', async () => {
    const url = await serve();
    const whole = { name: 'raw', size: picture.length, sha256: hash(picture) };
    const known = await fetch(`${url}/raw`, { method: 'PUT', body: picture });
    expect(await known.json()).toEqual(whole);
    const small = picture.subarray(0, 20_000);
    const collected = await fetch(`${url}/raw`, chunkedPut(small));
    expect(await collected.json()).toEqual({ name: 'raw', size: small.length, sha256: hash(small) });
    if (needsLength) return;
    const streamed = await fetch(`${url}/raw`, chunkedPut(picture));
    expect(await streamed.json()).toEqual(whole);
  });

  it('sends a file, a part of it, and nothing where the client has it', async () => {
    const url = await serve();
    const response = await fetch(`${url}/download`);
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(response.headers.get('content-length')).toBe(String(picture.length));
    expect(response.headers.get('content-disposition')).toMatch(/attachment; .*gr/);
    expect(hash(Buffer.from(await response.arrayBuffer()))).toBe(hash(picture));
    const head = await fetch(`${url}/download`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(picture.length));
    if (noRanges) return;
    const part = await fetch(`${url}/download`, { headers: { Range: 'bytes=1000-1999' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([
      206,
      `bytes 1000-1999/${picture.length}`,
    ]);
    expect(Buffer.from(await part.arrayBuffer()).equals(picture.subarray(1000, 2000))).toBe(true);
    const past = await fetch(`${url}/download`, { headers: { Range: `bytes=${picture.length}-` } });
    expect(past.status).toBe(416);
  });

  it('serves static files, and 304 where the client has them', async () => {
    const url = await serve();
    const response = await fetch(`${url}/static/site.css`);
    expect(response.headers.get('content-type')).toMatch(/^text\/css/);
    expect(await response.text()).toBe(css);
    const since = response.headers.get('last-modified') ?? '';
    const again = await fetch(`${url}/static/site.css`, { headers: { 'If-Modified-Since': since } });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await fetch(`${url}/static/../site.py`)).status).toBe(404);
    expect((await fetch(`${url}/static/%2e%2e%2fflask_site.py`)).status).toBeGreaterThanOrEqual(403);
  });

  it('streams block by block, while it still knows the request', async () => {
    const url = await serve();
    const response = await exchange(Number(new URL(url).port), get('/stream?name=ada'));
    expect(response.status).toBe(200);
    expect(response.chunks.map(String)).toEqual(['ada 0\n', 'ada 1\n', 'ada 2\n']);
  });

  it('shows its own pages for errors, redirects, and lives on', async () => {
    const url = await serve();
    const browser = new Browser(url);
    for (const [path, status, page] of [
      ['/nowhere', 404, pages.notFound],
      ['/forbidden', 403, pages.forbidden],
      ['/raise', 500, pages.failed],
    ] as const) {
      const response = await browser.fetch(path);
      const text = await response.text();
      expect([path, response.status]).toEqual([path, status]);
      expect(text).toMatch(page);
      expect(text).not.toContain('ZeroDivisionError');
    }
    const moved = await browser.fetch('/moved');
    expect(moved.status).toBeGreaterThanOrEqual(302);
    expect(new URL(moved.headers.get('location') ?? '', url).href).toBe(`${url}/`);
    expect(await browser.text('/')).toContain('visit 1');
  });

  it('keeps forty requests apart, four at once', async () => {
    const url = await serve();
    const names = Array.from({ length: 40 }, (_, index) => `guest-${index}`);
    const answers = await Promise.all(
      names.map(async (name) => (await fetch(`${url}/together/${name}`)).text()),
    );
    const parts = answers.map((answer) => answer.split(' '));
    expect(parts.map(([name, path]) => `${name} ${path}`)).toEqual(
      names.map((name) => `${name} /together/${name}`),
    );
    expect(new Set(parts.map(([, , thread]) => thread)).size).toBe(4);
  });
});

async function serveSite(module: string): Promise<string> {
  const application = `${root}test/frameworks/${module}.py:application`;
  return (await startServer({ application, python: venv, threads: 4 })).url;
}

function chunkedPut(body: Buffer): RequestInit {
  return { method: 'PUT', body: new Blob([body]).stream(), duplex: 'half' };
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
