// FastAPI, Starlette, Quart and Django by ASGI, used as they are used.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Browser } from './support/browser.js';
import { SUPERUSER, serveDjangoSite } from './support/django-site.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';

const folder = `${root}test/frameworks`;

function serve(name: string, settings = {}): Promise<RunningServer> {
  return startServer({ application: `${folder}/${name}`, python: venv, ...settings });
}

const asJson = (value: unknown) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(value),
});

describe('FastAPI', () => {
  it('checks what it is sent, injects what it depends on, and runs plain functions in threads', async () => {
    const { url } = await serve('fastapi_site.py:app');
    const read = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(url + path, init);
      return [response.status, await response.json()];
    };
    expect(await read('/me')).toEqual([401, { detail: 'who are you?' }]);
    expect(await read('/me', { headers: { Authorization: 'Bearer ada' } })).toEqual([200, { user: 'ada' }]);
    expect(await read('/items', asJson({ name: 'towel', price: 3 }))).toEqual([
      200,
      { name: 'towel', price: 3 },
    ]);
    expect(await read('/items', asJson({ name: 'towel' }))).toMatchObject([
      422,
      { detail: [{ type: 'missing' }] },
    ]);
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const answers = await Promise.all(numbers.map((number) => read(`/plain/${number}`)));
    expect(answers).toEqual(numbers.map((number) => [200, { number }]));
    expect(await read('/openapi.json')).toMatchObject([200, { info: { title: 'FastAPI' } }]);
  });

  it('has its lifespan, takes uploads, streams, sends files, and goes on in the background', async () => {
    const { url } = await serve('fastapi_site.py:app');
    expect(await (await fetch(`${url}/state`)).json()).toEqual({ started: true, url: `${url}/state` });
    const form = new FormData();
    form.append('file', new Blob([Buffer.alloc(20_000_000, 'y')]), 'large.bin');
    const uploaded = await fetch(`${url}/upload`, { method: 'POST', body: form });
    expect(await uploaded.json()).toEqual({ name: 'large.bin', size: 20_000_000 });
    expect(await (await fetch(`${url}/stream?count=3`)).text()).toBe('data: 0\n\ndata: 1\n\ndata: 2\n\n');
    const file = await fetch(`${url}/file`);
    expect(await file.text()).toBe(readFileSync(`${folder}/fastapi_site.py`, 'utf8'));
    await fetch(`${url}/background`);
    expect(await (await fetch(`${url}/events?wanted=in the background`)).json()).toContain(
      'in the background',
    );
  });

  it('is told when the client of a stream goes', async () => {
    const { url, port, lines } = await serve('fastapi_site.py:app');
    const client = new RawClient(port);
    client.send(get('/endless'));
    await client.readUntil('data: more');
    client.socket.destroy();
    expect(await (await fetch(`${url}/events?wanted=stream ended`)).json()).toContain('stream ended');
    expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
  });

  it("has its errors in Lido's log, with the traceback", async () => {
    const { url, findLine } = await serve('fastapi_site.py:app');
    expect((await fetch(`${url}/fails`)).status).toBe(500);
    expect((await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED')).traceback).toContain(
      'as it should',
    );
  });
});

describe('Starlette', () => {
  it('has middleware of both kinds, forms, cookies and files', async () => {
    const { url, port } = await serve('starlette_site.py:app');
    const form = new FormData();
    form.append('name', 'ada');
    form.append('file', new Blob([Buffer.alloc(100_000)]), 'a.bin');
    const posted = await fetch(`${url}/form`, { method: 'POST', body: form });
    expect([await posted.json(), posted.headers.get('x-named')]).toEqual([
      { name: 'ada', file: 100_000 },
      'yes',
    ]);
    const long = await fetch(`${url}/long`);
    expect([long.headers.get('content-encoding'), (await long.text()).length]).toEqual(['gzip', 10_000]);
    const { rawHeaders } = await exchange(port, get('/cookies', 'Cookie: a=1\r\nCookie: b=2\r\n'));
    expect(rawHeaders.filter(([name]) => name === 'set-cookie')).toHaveLength(2);
    const whole = readFileSync(`${folder}/starlette_site.py`, 'utf8');
    expect(await (await fetch(`${url}/files/starlette_site.py`)).text()).toBe(whole);
    const part = await fetch(`${url}/files/starlette_site.py`, { headers: { Range: 'bytes=3-11' } });
    expect([part.status, await part.text()]).toEqual([206, whole.slice(3, 12)]);
  });

  it('counts a body as it streams, and hears of a client that goes within it', async () => {
    const { url, port } = await serve('starlette_site.py:app');
    const counted = await fetch(`${url}/count`, { method: 'POST', body: Buffer.alloc(5_000_000) });
    expect(await counted.text()).toBe('5000000');
    const client = new RawClient(port);
    client.send(`${get('/count', 'Content-Length: 1000000\r\n', 'POST')}${'x'.repeat(70_000)}`);
    let ends: number[] = [];
    client.socket.once('drain', () => {});
    setTimeout(() => client.socket.destroy(), 50);
    while (ends.length === 0) ends = (await (await fetch(`${url}/ends`)).json()) as number[];
    expect(ends).toEqual([70_000]);
  });
});

describe('Quart', () => {
  it('serves pages, forms and streams, beneath the path that it is mounted at', async () => {
    const application = `${folder}/quart_site.py:app`;
    const { url } = await startServer({ mounts: { '/deep': { application, python: venv } } });
    expect(await (await fetch(`${url}/deep/?a=1`)).json()).toEqual({
      args: { a: '1' },
      started: [true],
      root: '/deep',
    });
    const form = await fetch(`${url}/deep/form`, {
      method: 'POST',
      body: new URLSearchParams({ name: 'ada' }),
    });
    expect(await form.json()).toEqual({ name: 'ada' });
    const body = Buffer.alloc(1_000_000, 'z');
    const echoed = await fetch(`${url}/deep/echo`, { method: 'POST', body });
    expect(Buffer.from(await echoed.arrayBuffer()).equals(body)).toBe(true);
    expect((await fetch(`${url}/deep/fails`)).status).toBe(500);
  });
});

describe('Django by ASGI', () => {
  it('serves its admin, asynchronous views and streams', async () => {
    const { url, stderr } = await serveDjangoSite([], {}, 'django_site.asgi');
    expect(stderr()).toContain(', ASGI on ');
    const browser = new Browser(url);
    const page = await browser.text('/admin/login/?next=/admin/');
    const [, csrfmiddlewaretoken = ''] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page) ?? [];
    const entered = await browser.post('/admin/login/', {
      ...SUPERUSER,
      next: '/admin/',
      csrfmiddlewaretoken,
    });
    expect([entered.status, entered.headers.get('location')]).toEqual([302, '/admin/']);
    expect(await browser.text('/admin/')).toContain('Site administration');
    const names = ['ada', 'grace', 'joan'];
    const answers = await Promise.all(
      names.map(async (name) => (await fetch(`${url}/async?name=${name}`)).text()),
    );
    expect(answers).toEqual(names.map((name) => `later, ${name}: 0 photos`));
  });
});
