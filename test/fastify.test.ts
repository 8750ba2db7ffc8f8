import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import lido, { type LidoOptions } from '../dist/src/fastify.js';
import { LidoError } from '../dist/src/index.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, languages, root, venv } from './support/server.js';

declare module 'fastify' {
  interface FastifyRequest {
    user?: { readonly name: string };
  }
}

function makeApp(options: FastifyServerOptions = {}) {
  const memory = createMemoryLog();
  const app = Fastify({ loggerInstance: memory.log, ...options });
  onTestFinished(() => app.close());
  return Object.assign(memory, { app: app as unknown as FastifyInstance });
}

const version = (number: number) => `export function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['${number}'];
}`;
const name = (application: string) => `${root}test/apps/applications.mjs:${application}`;
const one = (application: string): LidoOptions => ({ application: name(application), threads: 1 });

async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' });
  return (app.server.address() as AddressInfo).port;
}

function readEnviron(body: string): Record<string, string> {
  const lines = body.trimEnd().split('\n');
  return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
}

async function injectEnviron(app: FastifyInstance, url: string): Promise<Record<string, string>> {
  return readEnviron((await app.inject(url)).body);
}

describe('the plugin', () => {
  it('takes the prefix for SCRIPT_NAME: nested, with parameters, in any case', async () => {
    const { app } = makeApp({ routerOptions: { caseSensitive: false } });
    await app.register(async (v1) => v1.register(lido, { ...one('showEnviron'), prefix: '/shop' }), {
      prefix: '/v1',
    });
    await app.register(lido, { ...one('showEnviron'), prefix: '/of/:tenant' });
    for (const [path, script, info] of [
      ['/v1/shop', '/v1/shop', ''],
      ['/v1/shop?x', '/v1/shop', ''],
      ['/v1/shop/', '/v1/shop', '/'],
      ['/v1/shop/a%20b/?x=1', '/v1/shop', '/a b/'],
      ['/v1/sh%6Fp/%C3%A9', '/v1/shop', '/\u00e9'],
      ['/V1/Shop/x', '/V1/Shop', '/x'],
      ['/of/ada/x', '/of/ada', '/x'],
    ]) {
      const { SCRIPT_NAME, PATH_INFO, REQUEST_URI } = await injectEnviron(app, path as string);
      expect([SCRIPT_NAME, PATH_INFO, REQUEST_URI]).toEqual([script, info, path]);
    }
    expect((await app.inject('/v1/shopping')).statusCode).toBe(404);
  });

  it('without a prefix takes what the service has no route for', async () => {
    const { app } = makeApp();
    app.get('/', () => 'own');
    await app.register(lido, one('showEnviron'));
    expect((await app.inject('/')).body).toBe('own');
    expect(await injectEnviron(app, '/x/y')).toMatchObject({ SCRIPT_NAME: '', PATH_INFO: '/x/y' });
    expect(readEnviron((await app.inject({ url: '/', method: 'POST' })).body).PATH_INFO).toBe('/');
  });

  it('passes every method, over a socket', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('showEnviron'), prefix: '/shop' });
    const port = await listen(app);
    const methods = http.METHODS.filter((method) => !['CONNECT', 'HEAD', 'QUERY'].includes(method));
    expect(methods).toContain('PROPFIND');
    for (const method of methods) {
      const { status, body } = await exchange(port, get('/shop/x', '', method));
      expect([status, readEnviron(body.toString()).REQUEST_METHOD]).toEqual([200, method]);
    }
    const { status, body } = await exchange(port, get('/shop/x', '', 'HEAD'), 'HEAD');
    expect([status, body.length]).toEqual([200, 0]);
  });

  it("leaves bodies alone, whatever their type and Fastify's limit, and parses those of other routes", async () => {
    const { app } = makeApp({ bodyLimit: 10 });
    app.post('/own', (request) => request.body);
    await app.register(lido, { ...one('echo'), prefix: '/shop' });
    const post = async (url: string, type: string, payload: string | Buffer) =>
      app.inject({ url, method: 'POST', payload, headers: { 'content-type': type } });
    for (const type of [
      'application/json',
      'text/plain',
      'application/x-none',
      'multipart/form-data; boundary=x',
    ])
      expect((await post('/shop/', type, '{"not": json')).body).toBe('{"not": json');
    expect((await post('/own', 'application/json', '{"a":1}')).json()).toEqual({ a: 1 });
    expect((await post('/own', 'application/x-none', 'x')).statusCode).toBe(415);

    const port = await listen(app);
    const body = Buffer.alloc(3_000_000, 'abcdefg');
    const response = await fetch(`http://127.0.0.1:${port}/shop/`, { method: 'PUT', body });
    expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
    const deletion = `${get('/shop/', 'Content-Length: 3\r\n', 'DELETE')}abc`;
    expect((await exchange(port, deletion)).body.toString()).toBe('abc');
  });

  it('streams: a block arrives before the request has ended', async () => {
    const { app } = makeApp();
    const application = `${root}examples/echo.js`;
    await app.register(lido, { application, threads: 1, prefix: '/echo', requestBuffering: false });
    const client = new RawClient(await listen(app));
    client.send(get('/echo', 'Content-Length: 1000000\r\n', 'PUT'));
    client.send(Buffer.alloc(400_000, 'x'));
    await client.readUntil('xxxxxxxxxx');
    client.send(Buffer.alloc(600_000, 'y'));
    await client.readUntil('\r\n0\r\n\r\n');
  });

  it('runs behind hooks, which may answer themselves, and adds to the environ', async () => {
    const { app } = makeApp();
    app.addHook('onRequest', async (request, reply) => {
      if (request.headers.authorization === undefined) return reply.code(401).send('who are you?');
      request.user = { name: `Zoë ${request.headers.authorization}` };
    });
    await app.register(lido, {
      ...one('showEnviron'),
      prefix: '/shop',
      environ: (request) => ({ REMOTE_USER: request.user?.name ?? '' }),
    });
    expect(await app.inject('/shop/')).toMatchObject({ statusCode: 401, body: 'who are you?' });
    const { body } = await app.inject({ url: '/shop/', headers: { authorization: 'x' } });
    expect(readEnviron(body).REMOTE_USER).toBe('Zo\u00eb x');
  });

  it('keeps the fields that hooks set; cookies and Vary join, others give way', async () => {
    const { app } = makeApp();
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('x-mine', 'kept').header('content-type', 'text/none').header('vary', 'Origin');
      reply.header('set-cookie', 'a=1');
      reply.raw.setHeader('x-raw', 'kept too');
    });
    const responses: number[] = [];
    app.addHook('onResponse', async (_request, reply) => void responses.push(reply.statusCode));
    await app.register(lido, { ...one('headFromQuery'), prefix: '/shop' });
    const headers = [
      ['Content-Type', 'text/plain'],
      ['Vary', 'Cookie'],
      ['Set-Cookie', 'b=2'],
      ['Set-Cookie', 'c=3'],
    ];
    const url = `/shop?${encodeURIComponent(JSON.stringify({ status: '202 Taken', headers }))}`;
    const expected = {
      'x-mine': 'kept',
      'x-raw': 'kept too',
      'content-type': 'text/plain',
      'set-cookie': ['a=1', 'b=2', 'c=3'],
    };
    const injected = await app.inject(url);
    expect([injected.statusCode, injected.headers]).toMatchObject([202, expected]);
    expect(String(injected.headers.vary).split(/,\s*/)).toEqual(['Origin', 'Cookie']);
    const answer = await fetch(`http://127.0.0.1:${await listen(app)}${url}`);
    expect([answer.headers.getSetCookie(), answer.headers.get('vary')]).toEqual([
      ['a=1', 'b=2', 'c=3'],
      'Origin, Cookie',
    ]);
    expect(responses).toEqual([202, 202]);
  });

  it('keeps the asynchronous context of the request to its end, also for a body that the client takes bit by bit', async () => {
    const { app } = makeApp();
    const context = new AsyncLocalStorage<string>();
    const seen = new Set<unknown>();
    const ended: unknown[] = [];
    app.addHook('onRequest', (request, _reply, done) => context.run(request.url, done));
    app.addHook('onSend', async (_request, _reply, payload) => {
      const watch = new PassThrough();
      watch.on('data', () => seen.add(context.getStore()));
      return (payload as Readable).pipe(watch);
    });
    app.addHook('onResponse', async () => void ended.push(context.getStore()));
    const folder = makeFolder({
      'blocks.mjs': `export function* application(environ, startResponse) {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        for (let count = 0; count < 200; count += 1) yield 'x'.repeat(64 * 1024);
      }`,
    });
    await app.register(lido, { application: `${folder}/blocks.mjs`, threads: 1, prefix: '/blocks' });
    await exchange(await listen(app), get('/blocks'));
    await vi.waitFor(() => expect(ended).toEqual(['/blocks']));
    expect(seen).toEqual(new Set(['/blocks']));
  });

  it('logs to request.log with its id, which the environ has too', async () => {
    const { app, findLine } = makeApp({ genReqId: () => 'id-7' });
    await app.register(lido, { ...one('logs'), prefix: '/shop' });
    expect((await app.inject('/shop')).body).toBe('id-7');
    const line = await findLine(({ msg }) => msg.includes('second line'));
    expect(line).toMatchObject({ reqId: 'id-7', requestId: 'id-7' });
  });

  it('sees clients as Fastify does, behind a proxy that it trusts', async () => {
    const { app } = makeApp({ trustProxy: true });
    await app.register(lido, { ...one('showEnviron'), prefix: '/shop' });
    const headers = { 'x-forwarded-for': '10.1.2.3', 'x-forwarded-proto': 'https' };
    const seen = readEnviron((await app.inject({ url: '/shop', headers })).body);
    expect(seen).toMatchObject({ REMOTE_ADDR: '10.1.2.3', 'wsgi.url_scheme': 'https' });
  });

  it('believes no proxy that trustProxy does not name', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('showEnviron'), prefix: '/shop' });
    const headers = { 'x-forwarded-for': '10.1.2.3', 'x-forwarded-proto': 'https' };
    const seen = readEnviron((await app.inject({ url: '/shop', headers })).body);
    expect(seen).toMatchObject({ REMOTE_ADDR: '127.0.0.1', 'wsgi.url_scheme': 'http' });
  });

  it('decorates its surroundings with stats(), ready() and reload()', async () => {
    const { app } = makeApp();
    const folder = makeFolder({ 'one.mjs': version(1), 'two.mjs': version(1) });
    await app.register(lido, { application: `${folder}/one.mjs`, threads: 1, prefix: '/one' });
    await app.register(async (inner) => {
      await inner.register(lido, { application: `${folder}/two.mjs`, threads: 2, prefix: '/two' });
    });
    await app.ready();
    await app.lido.ready();
    expect(app.lido.stats()).toMatchObject([
      { mount: '/one', application: `${folder}/one.mjs`, workers: 1, busy: 0 },
      { mount: '/two', workers: 2 },
    ]);
    const ask = async () => [(await app.inject('/one')).body, (await app.inject('/two')).body];
    for (const file of ['one.mjs', 'two.mjs']) writeFileSync(`${folder}/${file}`, version(2));
    expect(await ask()).toEqual(['1', '1']);
    await app.lido.reload('/one');
    expect(await ask()).toEqual(['2', '1']);
    await app.lido.reload();
    expect(await ask()).toEqual(['2', '2']);
    await expect(app.lido.reload('/three')).rejects.toThrow(
      'reload: nothing is registered at /three, but at /one, /two',
    );
  });

  it('ends the connection of a client that takes nothing of a response', async () => {
    const { app, findLine } = makeApp();
    await app.register(lido, { ...one('stream'), sendTimeout: 0.3, prefix: '/shop' });
    const client = new RawClient(await listen(app));
    client.socket.pause();
    client.send(get('/shop?1000000000'));
    await findLine(({ msg }) => msg === 'closed');
  });

  it('sends a large body as fast as it is taken, whole', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('stream'), prefix: '/shop' });
    const { body } = await exchange(await listen(app), get('/shop?20000000'));
    expect(body.length).toBe(20_000_000);
  });

  it('asks descriptions of the API to leave its routes out, as @fastify/swagger does', async () => {
    const { app } = makeApp();
    const described: string[] = [];
    app.addHook('onRoute', ({ url, schema }) => {
      if ((schema as { hide?: boolean } | undefined)?.hide !== true) described.push(url);
    });
    app.get('/own', async () => 'own');
    await app.register(lido, { ...one('showEnviron'), prefix: '/shop' });
    await app.ready();
    expect([...new Set(described)]).toEqual(['/own']);
  });

  it('keeps its doings to itself', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('hello'), prefix: '/a' });
    await app.register(lido, { ...one('generator'), prefix: '/b' });
    expect(app.hasContentTypeParser('application/json')).toBe(true);
    expect([(await app.inject('/a')).body, (await app.inject('/b')).body]).toEqual([
      'Hello, world!\n',
      'one,two',
    ]);
  });
});

describe('an application that fails', () => {
  it('before its head goes to the error handler of its surroundings', async () => {
    const { app } = makeApp();
    await app.register(async (inner) => {
      inner.setErrorHandler((error, _request, reply) => {
        const { code, statusCode, traceback, cause } = error as LidoError;
        return reply.code(statusCode ?? 0).send({ code, traceback, cause: (cause as Error).message });
      });
      await inner.register(lido, { ...one('failsBefore'), prefix: '/shop' });
    });
    const { statusCode, body } = await app.inject('/shop');
    expect([statusCode, JSON.parse(body)]).toMatchObject([500, { code: 'LIDO_APPLICATION_RAISED' }]);
    expect(JSON.parse(body).traceback).toContain('applications.mjs:');
    expect(JSON.parse(body).cause).toContain('the application raised');
  });

  it("shows no more than the status by Fastify's own handler, unless debug is set; the log has the traceback", async () => {
    const { app, findLine } = makeApp();
    await app.register(lido, { ...one('failsBefore'), prefix: '/shop' });
    await app.register(lido, { ...one('failsBefore'), debug: true, prefix: '/debug' });
    expect((await app.inject('/shop')).json()).toEqual({
      statusCode: 500,
      code: 'LIDO_APPLICATION_RAISED',
      error: 'Internal Server Error',
      message: 'Internal Server Error',
    });
    expect((await findLine(({ traceback }) => traceback !== undefined)).traceback).toContain(
      'applications.mjs:',
    );
    expect((await app.inject('/debug')).json().message).toContain('applications.mjs:');
  });

  it('with a body that it has not read is answered, and the connection ends', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('failsBefore'), prefix: '/shop', requestBuffering: false });
    const port = await listen(app);
    for (let count = 0; count < 5; count += 1) {
      const response = await fetch(`http://127.0.0.1:${port}/shop`, {
        method: 'PUT',
        body: Buffer.alloc(1_000_000),
      });
      expect([response.status, response.headers.get('connection')]).toEqual([500, 'close']);
    }
  });

  it('after its head aborts the connection', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('failsAfter'), prefix: '/shop' });
    await expect(exchange(await listen(app), get('/shop'))).rejects.toThrow('the connection ended');
    await expect(app.inject('/shop')).rejects.toThrow('response destroyed before completion');
  });

  it('is refused by the gate through the error handler too', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('echo'), maxBodySize: 3, prefix: '/shop' });
    const response = await app.inject({ url: '/shop', method: 'POST', payload: 'four' });
    expect(response.json()).toMatchObject({ statusCode: 413, code: 'LIDO_REQUEST_REFUSED' });
  });

  it.each([
    ['raises_on_import.py', 'LIDO_IMPORT_FAILED', /raises_on_import\.py", line/],
    ['applications.mjs:none', 'LIDO_CALLABLE_NOT_FOUND', /^LidoError: /],
  ])('to load fails the boot: %s', async (file, code, stack) => {
    const { app } = makeApp();
    await app.register(lido, { application: `${root}test/apps/${file}`, python: venv, prefix: '/shop' });
    const error = await app.ready().then(undefined, (reason: unknown) => reason as LidoError);
    expect(error).toBeInstanceOf(LidoError);
    expect([error?.code, error?.stack]).toEqual([code, expect.stringMatching(stack)]);
  });

  it('is answered by a time-out of Fastify where that is shorter', async () => {
    const { app } = makeApp({ handlerTimeout: 100 });
    await app.register(lido, { ...one('misbehaves'), threads: 2, prefix: '/shop' });
    expect((await app.inject('/shop/sleep?0.4')).statusCode).toBe(503);
    expect((await app.inject('/shop')).statusCode).toBe(200);
  });
});

describe.each(languages)('a body that is not as long as it was declared, in %s', (language) => {
  const file = `applications.${language === 'python' ? 'py' : 'mjs'}`;
  const ask = (body: readonly string[], length: number) =>
    `/shop?${encodeURIComponent(JSON.stringify({ body, headers: [['Content-Length', String(length)]] }))}`;

  async function start() {
    const made = makeApp();
    const application = `${root}test/apps/${file}:headFromQuery`;
    await made.app.register(lido, { application, python: venv, threads: 1, prefix: '/shop' });
    return made;
  }

  it.each([
    [['12345'], 3],
    [['1234', '5'], 3],
  ])('is cut off where it is longer: %j for %d bytes', async (body, length) => {
    const { app } = await start();
    expect((await app.inject(ask(body, length))).body).toBe('123');
    expect((await exchange(await listen(app), get(ask(body, length)))).body.toString()).toBe('123');
  });

  it.each([
    [['12345'], 10],
    [['1234', '5'], 10],
    [[], 10],
  ])('ends the connection where it is shorter, and is logged: %j for %d bytes', async (body, length) => {
    const { app, findLine } = await start();
    await expect(app.inject(ask(body, length))).rejects.toThrow('response destroyed before completion');
    const line = await findLine(({ code }) => code === 'LIDO_BODY_TOO_SHORT');
    expect(line.msg).toContain(`${body.join('').length} of 10 bytes`);
    const port = await listen(app);
    await expect(exchange(port, get(ask(body, length)))).rejects.toThrow('the connection ended');
  });
});

describe.each(languages)('close(), in %s', (language) => {
  const application = `${root}test/apps/applications.${language === 'python' ? 'py' : 'mjs'}:misbehaves`;

  it('finishes what runs; kept connections do not hold it up', async () => {
    const { app } = makeApp();
    await app.register(lido, { application, python: venv, threads: 1, prefix: '/shop' });
    const clients = await sendThree(app, '/shop/sleep?0.3');
    const closed = app.close();
    const responses = await Promise.all(clients.map((client) => client.readResponse()));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    await closed;
  });

  it('ends what outlives gracefulTimeout, with 503', async () => {
    const { app } = makeApp();
    const times = { gracefulTimeout: 0.2, timeout: 0 };
    await app.register(lido, { application, python: venv, threads: 1, ...times, prefix: '/shop' });
    const clients = await sendThree(app, '/shop/sleep?1.5');
    const closed = app.close();
    const responses = await Promise.all(clients.map((client) => client.readResponse()));
    expect(responses.map(({ status }) => status)).toEqual([503, 503, 503]);
    await closed;
  });
});

/** Sends three requests, and resolves once the routes have them. */
async function sendThree(app: FastifyInstance, path: string): Promise<RawClient[]> {
  let taken = 0;
  let resolveTaken = () => {};
  const allTaken = new Promise<void>((resolve) => {
    resolveTaken = resolve;
  });
  app.server.on('request', () => {
    taken += 1;
    if (taken === 3) resolveTaken();
  });
  const port = await listen(app);
  const clients = [new RawClient(port), new RawClient(port), new RawClient(port)];
  await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
  for (const client of clients) client.send(get(path));
  await allTaken;
  return clients;
}

describe('a test suite', () => {
  it('of fifty boots and closes leaves no thread behind', async () => {
    const countThreads = () => readdirSync('/proc/self/task').length;
    // Node starts threads of its own when they are first needed, and a thread that ends is seen for a while.
    let most = 0;
    for (let count = 0; count < 50; count += 1) {
      const app = Fastify();
      await app.register(lido, { ...one('hello'), prefix: '/shop' });
      expect((await app.inject('/shop')).body).toBe('Hello, world!\n');
      await app.close();
      if (count < 10) most = Math.max(most, countThreads());
    }
    await vi.waitFor(() => expect(countThreads()).toBeLessThanOrEqual(most), 10_000);
  });
});

describe('the options', () => {
  it.each([
    [{ mounts: { '/': 'a.js' } }, 'option mounts: register Lido once for each'],
    [
      { application: 'a.js', forwardedAllowIps: '*' },
      'option forwardedAllowIps: Fastify says whom to believe',
    ],
    [{ application: 'a.js', forwardedFields: ['forwarded'] }, 'option forwardedFields: Fastify reads'],
    [{ application: 'a.js', bind: [':80'] }, 'option bind: not for Lido'],
    [{ application: 'a.js', logFormat: 'json' }, 'option logFormat: the log is Fastify'],
    [{ application: 'a.js', thread: 1 }, 'did you mean threads?'],
    [{ application: 'a.js', threads: 0 }, 'takes a whole number'],
    [{}, 'option application: is missing'],
    [{ application: 'a.js', environ: { USER: 'ada' } }, 'option environ: takes a function'],
    [{ application: 'a.js', environ: async () => ({}) }, 'not async, not an async function'],
  ])('refuse %j', async (options, message) => {
    const { app } = makeApp();
    await expect(app.register(lido, options as LidoOptions)).rejects.toThrow(message);
  });

  it('refuse a service that speaks HTTP/2', async () => {
    const app = Fastify({ http2: true });
    const registered = app.register(lido, { application: 'a.js' } as never);
    await expect(registered).rejects.toThrow('Fastify({ http2: true }): Lido answers HTTP/1.1 alone');
  });

  it('refuse the same prefix twice, with what to do', async () => {
    const { app } = makeApp();
    await app.register(lido, { ...one('hello'), prefix: '/shop' });
    await expect(app.register(lido, { ...one('hello'), prefix: '/shop' })).rejects.toThrow(
      'prefix /shop: something is served there already: give each a prefix of its own',
    );
  });

  it('are typed', () => {
    const check = (_app: FastifyInstance) => {
      // @ts-expect-error a number is wanted
      void _app.register(lido, { application: 'a.js', threads: 'x' });
      // @ts-expect-error an application is wanted
      void _app.register(lido, { threads: 1 });
      // @ts-expect-error no such setting
      void _app.register(lido, { application: 'a.js', thread: 1 });
      // @ts-expect-error Fastify listens
      void _app.register(lido, { application: 'a.js', bind: [':80'] });
      // @ts-expect-error text is wanted
      void _app.register(lido, { application: 'a.js', environ: () => ({ REMOTE_USER: 5 }) });
      void _app.register(lido, { application: 'a.js', prefix: '/shop', logLevel: 'warn' });
    };
    expect(check).toBeInstanceOf(Function);
  });
});
