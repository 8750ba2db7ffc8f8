// What goes beside an answer's head and body: early hints ahead of it, trailers behind it. RFC 8297; RFC 9110, section 6.5.
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import lido from '../dist/src/fastify.js';
import { serveByNode } from './support/handler.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';

const files = {
  javascript: `${root}test/apps/applications.mjs`,
  python: `${root}test/apps/applications.py`,
  asgi: `${root}test/apps/asgi_applications.py`,
};
type Kind = keyof typeof files;
const kinds = Object.keys(files) as Kind[];
const application = (kind: Kind, name: string) => ({ application: `${files[kind]}:${name}`, python: venv });

const serve = (kind: Kind, name: string): Promise<RunningServer> => startServer(application(kind, name));

async function serveByFastify(kind: Kind, name: string): Promise<number> {
  const app = fastify();
  onTestFinished(() => app.close());
  await app.register(lido, { ...application(kind, name), threads: 1 });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return (app.server.address() as AddressInfo).port;
}

/** Status and Link fields of each head, the final one last; the body. */
async function readHints(port: number, request: string) {
  const client = new RawClient(port);
  client.send(request);
  const heads: (readonly [number, ...string[]])[] = [];
  for (;;) {
    const { status, rawHeaders, body } = await client.readResponse({ informational: true });
    heads.push([
      status,
      ...rawHeaders.flatMap(([name, value]) => (name === 'Link' ? value.split(', ') : [])),
    ]);
    if (status >= 200) return { heads, body: body.toString() };
  }
}

const hinted = [
  [103, '</style.css>; rel=preload', '</code.js>; rel=preload'],
  [103, '</late.css>; rel=preload'],
  [200],
];

describe.each(kinds)('early hints of %s', (kind) => {
  it('go ahead of the head, and no more once that is out', async () => {
    const { port } = await serve(kind, 'hints');
    expect(await readHints(port, get('/'))).toEqual({ heads: hinted, body: 'whole!' });
    expect(await readHints(port, get('/'))).toMatchObject({ heads: hinted });
  });

  it('are nothing for a client of HTTP/1.0', async () => {
    const { port } = await serve(kind, 'hints');
    const port2 = await serveByNode(application(kind, 'hints'));
    for (const each of [port, port2])
      expect(await readHints(each, 'GET / HTTP/1.0\r\n\r\n')).toEqual({ heads: [[200]], body: 'whole!' });
  });

  it('go out by node:http and Fastify, too', async () => {
    expect(await readHints(await serveByNode(application(kind, 'hints')), get('/'))).toMatchObject({
      heads: hinted,
    });
    expect(await readHints(await serveByFastify(kind, 'hints'), get('/'))).toMatchObject({ heads: hinted });
  });

  it.each(['split', 'endless'])('are held to the grammar and to a size: %s', async (what) => {
    const { port, findLine } = await serve(kind, 'hints');
    expect((await exchange(port, get(`/?${what}`))).status).toBe(500);
    const { msg, code } = await findLine(({ code }) => code !== undefined);
    expect(code).toBe('LIDO_MALFORMED_HEADER');
    expect(msg).toContain(what === 'split' ? 'X-Evil' : 'too large');
  });
});

it.each(['javascript', 'python'] as const)('early hints of %s declare no length', async (kind) => {
  const { port, findLine } = await serve(kind, 'hints');
  expect((await exchange(port, get('/?length'))).status).toBe(500);
  await findLine(({ code }) => code === 'LIDO_MALFORMED_CONTENT_LENGTH');
});

describe('trailers', () => {
  const asks = 'TE: deflate;q=0.5, trailers\r\n';
  const behind = '0\r\nx-sum: 6\r\nx-time: 1\r\nx-time: 2\r\n\r\n';

  async function read(port: number, request: string, until: string): Promise<string> {
    const client = new RawClient(port);
    client.send(request);
    return client.readUntil(until);
  }

  it('follow the body where the client asks for them', async () => {
    const { port } = await serve('asgi', 'trailers');
    const answer = await read(port, get('/', asks), behind);
    expect(answer).toMatch(/\r\ntrailer: x-sum, x-time\r\n(?:.|\r\n)*\r\nTransfer-Encoding: chunked\r\n/);
    expect(answer.split('\r\n\r\n')[1]).toBe(`3\r\none\r\n3\r\ntwo\r\n${behind.slice(0, -4)}`);
    expect(await read(port, get('/?empty', asks), behind)).toContain(`\r\n\r\n${behind}`);
  });

  it('leave the connection to the next request', async () => {
    const { port } = await serve('asgi', 'trailers');
    const client = new RawClient(port);
    client.send(get('/', asks) + get('/'));
    await client.readUntil(behind);
    expect(await client.readResponse()).toMatchObject({ status: 200, body: Buffer.from('onetwo') });
  });

  it.each([
    ['nobody asks', get('/'), 'chunked'],
    ['the length is declared', get('/?counted', asks), 'length'],
    ['HTTP/1.0 asks', 'GET / HTTP/1.0\r\nTE: trailers\r\n\r\n', 'close'],
    ['there is no body', get('/?204', asks), 'none'],
  ])('are left out where %s', async (_, request, framing) => {
    const { port } = await serve('asgi', 'trailers');
    const { headers, body, ...answer } = await exchange(port, request);
    expect(answer.framing).toBe(framing);
    expect(headers).not.toHaveProperty('trailer');
    expect(body.toString()).toBe(framing === 'none' ? '' : 'onetwo');
  });

  it('follow the answer to HEAD nowhere', async () => {
    const { port } = await serve('asgi', 'trailers');
    const client = new RawClient(port);
    client.send(get('/', asks, 'HEAD') + get('/'));
    expect(await client.readResponse({ method: 'HEAD' })).toMatchObject({ status: 200 });
    expect(await client.readResponse()).toMatchObject({ status: 200, body: Buffer.from('onetwo') });
  });

  it('go out by node:http and Fastify, too', async () => {
    const byNode = await serveByNode(application('asgi', 'trailers'));
    const byFastify = await serveByFastify('asgi', 'trailers');
    expect(await read(byNode, get('/', asks), behind)).toMatch(/\r\ntrailer: x-sum, x-time\r\n/i);
    expect(await read(byNode, get('/?empty', asks), behind)).toContain(`\r\n\r\n${behind}`);
    expect(await read(byFastify, get('/', asks), behind)).not.toMatch(/\r\ntrailer:/i);
    for (const port of [byNode, byFastify])
      expect((await exchange(port, get('/?counted', asks))).body.toString()).toBe('onetwo');
  });

  it('are not announced where something else says how long the body is', async () => {
    const { port } = await serve('asgi', 'trailers');
    const others = [
      await serveByNode(application('asgi', 'trailers')),
      await serveByFastify('asgi', 'trailers'),
    ];
    const text = readFileSync(files.asgi);
    for (const each of [port, ...others]) {
      const { headers, body } = await exchange(each, get('/?file', asks));
      expect([headers['content-length'], headers.trailer]).toEqual([String(text.length), undefined]);
      expect(body.equals(text)).toBe(true);
      expect(await exchange(each, get('/?nothing', asks))).toMatchObject({ status: 200, body: Buffer.of() });
    }
  });

  it('are no place for what a client needs before', async () => {
    const { port, findLine } = await serve('asgi', 'trailers');
    const client = new RawClient(port);
    client.send(get('/?framing', asks));
    expect(await client.readAll()).not.toContain('\r\n0\r\n');
    const { msg } = await findLine(({ code }) => code === 'LIDO_FORBIDDEN_TRAILER');
    expect(msg).toContain("b'Content-Length' comes too late in a trailer");
  });

  it.each([
    ['split', 'LIDO_MALFORMED_HEADER'],
    ['missing', 'LIDO_RESPONSE_NOT_WHOLE'],
  ])('break the answer off where they are wrong: %s', async (what, expected) => {
    const { port, findLine } = await serve('asgi', 'trailers');
    const client = new RawClient(port);
    client.send(get(`/?${what}`, asks));
    expect(await client.readAll()).not.toContain('\r\n0\r\n');
    await findLine(({ code }) => code === expected);
  });
});
