// Several requests on one connection, sent before the first is answered. RFC 9112, section 9.3.2.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import lido from '../dist/src/fastify.js';
import { createHandler, type HandlerOptions } from '../dist/src/index.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, type LogLine, root, startServer } from './support/server.js';

const application = `${root}test/apps/turns.mjs:turns`;

interface Served {
  readonly port: number;
  readonly lines: readonly LogLine[];
  readonly findLine: ReturnType<typeof createMemoryLog>['findLine'];
}

const serve = (settings = {}) => startServer({ application, threads: 2, ...settings });

async function embed(
  wrap: (handler: http.RequestListener) => http.RequestListener,
  options: http.ServerOptions = {},
  settings: Partial<HandlerOptions> = {},
): Promise<Served & { readonly server: http.Server }> {
  const memory = createMemoryLog();
  const handler = createHandler({ application, threads: 2, log: memory.log, ...settings });
  await handler.ready();
  const server = http.createServer(options, wrap(handler)).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    server.close().closeAllConnections();
    await handler.close();
  });
  await once(server, 'listening');
  return { ...memory, server, port: (server.address() as AddressInfo).port };
}

async function register(
  options: FastifyServerOptions = {},
): Promise<Served & { readonly app: FastifyInstance }> {
  const memory = createMemoryLog();
  const app = Fastify({ loggerInstance: memory.log, ...options }) as unknown as FastifyInstance;
  onTestFinished(() => app.close());
  app.get('/own', { handlerTimeout: 60_000 }, async () => {
    await once(app.server, 'answer');
    return 'own';
  });
  await app.register(lido, { application, threads: 2 });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { ...memory, app, port: (app.server.address() as AddressInfo).port };
}

/** What the application has said so far: "began /a", "ended /a". */
const spoken = ({ lines }: Served) =>
  lines.map(({ msg }) => msg).filter((msg) => /^(began|ended) /.test(msg));

const inTurn = (...paths: string[]) => paths.flatMap((path) => [`began ${path}`, `ended ${path}`]);

/** Resolves once the application runs what is at this path. */
const begins = (served: Served, path: string) => served.findLine(({ msg }) => msg === `began ${path}`);

describe('pipelined requests run one after the other, however many threads there are', () => {
  it.each([
    ['the server', () => serve()],
    ['createHandler under node:http', () => embed((handler) => handler)],
    ['createHandler under Express', () => embed((handler) => express().use(handler) as http.RequestListener)],
    ['the plugin for Fastify', () => register()],
  ])('in %s', async (_name, start) => {
    const served = await start();
    const client = new RawClient(served.port);
    client.send(`${get('/a?100')}${get('/b?50', 'Content-Length: 3\r\n', 'POST')}abc${get('/c')}`);
    for (const body of ['/a 0', '/b 3', '/c 0'])
      expect((await client.readResponse()).body.toString()).toBe(body);
    expect(spoken(served)).toEqual(inTurn('/a', '/b', '/c'));
  });

  it('in several applications', async () => {
    const served = await startServer({ mounts: { '/one': { application }, '/two': { application } } });
    const client = new RawClient(served.port);
    client.send(get('/one/a?100') + get('/two/b?100') + get('/none') + get('/one/c'));
    const statuses = [];
    for (let left = 4; left > 0; left -= 1) statuses.push((await client.readResponse()).status);
    expect(statuses).toEqual([200, 200, 404, 200]);
    expect(spoken(served)).toEqual(inTurn('/one/a', '/two/b', '/one/c'));
  });

  it('behind one that the surrounding program answers', async () => {
    const answers: (() => void)[] = [];
    const served = await embed((handler) => (request, response) => {
      if (request.url === '/own') answers.push(() => response.end('own'));
      else handler(request, response);
    });
    const client = new RawClient(served.port);
    client.send(get('/own') + get('/a'));
    // A request that comes later and is done shows that the one behind /own would have been.
    await exchange(served.port, get('/other'));
    expect(spoken(served)).toEqual(inTurn('/other'));
    for (const answer of answers) answer();
    const bodies = [await client.readResponse(), await client.readResponse()].map(({ body }) => `${body}`);
    expect(bodies).toEqual(['own', '/a 0']);
  });
});

describe('pipelined requests', () => {
  it('with bodies, some of them half here, are read when their turn comes', async () => {
    const served = await serve({ bodyTimeout: 0.2 });
    const client = new RawClient(served.port);
    const post = (path: string, size: number) => get(path, `Content-Length: ${size}\r\n`, 'POST');
    client.send(`${post('/a?500', 10)}${'a'.repeat(10)}${post('/b', 300_000)}${'b'.repeat(290_000)}`);
    // The rest comes late, but in time for its turn.
    expect((await client.readResponse()).body.toString()).toBe('/a 10');
    client.send(`${'b'.repeat(10_000)}${post('/c', 70_000)}${'c'.repeat(70_000)}`);
    expect((await client.readResponse()).body.toString()).toBe('/b 300000');
    expect((await client.readResponse()).body.toString()).toBe('/c 70000');
  });

  it('are told to continue when their turn comes, and have no body for HEAD', async () => {
    const served = await serve();
    const client = new RawClient(served.port);
    const expecting = 'Content-Length: 3\r\nExpect: 100-continue\r\n';
    client.send(get('/a?100') + get('/b', '', 'HEAD') + get('/c', expecting, 'POST'));
    expect((await client.readResponse()).body.toString()).toBe('/a 0');
    expect((await client.readResponse({ method: 'HEAD' })).status).toBe(200);
    expect((await client.readResponse({ method: 'HEAD', informational: true })).status).toBe(100);
    client.send(`abc${get('/d')}`);
    expect((await client.readResponse()).body.toString()).toBe('/c 3');
    expect((await client.readResponse()).body.toString()).toBe('/d 0');
  });

  it.each([
    ['what the gate refuses', 400, 'GET /b HTTP/1.1\r\n\r\n'],
    ['what the parser refuses', 400, 'NO SUCH THING\r\n\r\n'],
    ['a body that is none', 400, `${get('/b', 'Transfer-Encoding: chunked\r\n', 'POST')}no chunk\r\n`],
    ['an end that the client asks for', 200, get('/b', 'Connection: close\r\n')],
    ['CONNECT', 501, 'CONNECT lido.test:443 HTTP/1.1\r\nHost: lido.test:443\r\n\r\n'],
  ])('end with %s, in order, and nothing behind it is run', async (_name, status, last) => {
    const served = await serve();
    const client = new RawClient(served.port);
    client.send(get('/a?100') + last + get('/c').repeat(3));
    expect((await client.readResponse()).body.toString()).toBe('/a 0');
    const response = await client.readResponse();
    expect([response.status, response.headers.connection]).toEqual([status, 'close']);
    expect(await client.closes()).toBe(true);
    expect(spoken(served)).toEqual(status === 200 ? inTurn('/a', '/b') : inTurn('/a'));
  });

  it('leave the connection after the answer that is due when the server closes, for another to ask again', async () => {
    const served = await serve();
    const client = new RawClient(served.port);
    client.send(get('/a?100') + get('/b') + get('/c'));
    await begins(served, '/a');
    const closed = served.server.close();
    expect((await client.readResponse()).headers.connection).toBe('close');
    expect(await client.closes()).toBe(true);
    await closed;
    expect(spoken(served)).toEqual(inTurn('/a'));
  });

  it('are finished by the workers that they came to when the code is loaded anew', async () => {
    const served = await serve();
    const client = new RawClient(served.port);
    client.send(get('/a?100') + get('/b') + get('/c'));
    await begins(served, '/a');
    await served.server.reload();
    for (const body of ['/a 0', '/b 0', '/c 0'])
      expect((await client.readResponse()).body.toString()).toBe(body);
  });

  it('are as many as the surrounding program allows on a connection', async () => {
    const served = await embed((handler) => handler);
    served.server.maxRequestsPerSocket = 2;
    const client = new RawClient(served.port);
    client.send(get('/a?50') + get('/b') + get('/c'));
    for (const [status, connection] of [
      [200, 'keep-alive'],
      [200, 'close'],
      [503, 'close'],
    ]) {
      const response = await client.readResponse();
      expect([response.status, response.headers.connection]).toEqual([status, connection]);
    }
    expect(spoken(served)).toEqual(inTurn('/a', '/b'));
  });

  it('are not run where a framework has answered them in the meantime', async () => {
    const served = await register({ handlerTimeout: 100 });
    const client = new RawClient(served.port);
    client.send(get('/own') + get('/a'));
    await served.findLine(({ level, msg }) => level >= 40 && msg.includes('timed out'));
    served.app.server.emit('answer');
    expect((await client.readResponse()).body.toString()).toBe('own');
    expect((await client.readResponse()).status).toBe(503);
    await exchange(served.port, get('/other'));
    expect(spoken(served)).toEqual(inTurn('/other'));
  });
});
