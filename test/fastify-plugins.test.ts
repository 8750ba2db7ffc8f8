// What other plugins of Fastify say reaches the client beside what the application says: each from outside, over a socket.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import compress from '@fastify/compress';
import cookie from '@fastify/cookie';
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import proxy from '@fastify/http-proxy';
import rateLimit from '@fastify/rate-limit';
import session from '@fastify/session';
import serveFolder from '@fastify/static';
import underPressure from '@fastify/under-pressure';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import lido from '../dist/src/fastify.js';
import { exchange, get, type RawResponse } from './support/raw-client.js';
import { languages, root, venv } from './support/server.js';

type Call = (url: string, fields?: string, method?: string) => Promise<RawResponse>;

/** A service with Lido at /shop, behind what `prepare` registers. */
async function serve(
  prepare: (app: FastifyInstance) => Promise<unknown>,
  application = 'severalBlocks',
  language: 'javascript' | 'python' = 'javascript',
): Promise<{ app: FastifyInstance; call: Call; port: number }> {
  const app: FastifyInstance = Fastify();
  onTestFinished(() => app.close());
  await prepare(app);
  const file = language === 'python' ? 'applications.py' : 'applications.mjs';
  await app.register(lido, {
    application: `${root}test/apps/${file}:${application}`,
    python: venv,
    threads: 1,
    prefix: '/shop',
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const call: Call = (url, fields = '', method = 'GET') => exchange(port, get(url, fields, method), method);
  return { app, call, port };
}

const ask = (query: object) => `/shop?${encodeURIComponent(JSON.stringify(query))}`;
const cookiesOf = ({ rawHeaders }: RawResponse) =>
  rawHeaders.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value);

describe.each(languages)('what is said in onSend reaches the client, in %s', (language) => {
  it.each([
    ['hello', 'Hello, world!\n'],
    ['severalBlocks', 'one,two,three'],
    ['emptyList', ''],
  ])('with %s', async (application, body) => {
    const { call, app } = await serve(
      async (service) => {
        service.addHook(
          'onSend',
          async (_request, reply: FastifyReply) => void reply.header('x-late', 'said'),
        );
        service.addHook('onSend', (_request, reply, payload, done) => {
          reply.header('x-later', 'too');
          setImmediate(done, null, payload);
        });
      },
      application,
      language,
    );
    for (const method of ['GET', 'HEAD']) {
      const answer = await call('/shop', '', method);
      expect(answer.headers).toMatchObject({ 'x-late': 'said', 'x-later': 'too' });
      expect(answer.body.toString()).toBe(method === 'GET' ? body : '');
    }
    expect((await app.inject('/shop')).headers).toMatchObject({ 'x-late': 'said' });
  });

  it('a hook may change the body, whole or as a stream', async () => {
    for (const application of ['hello', 'severalBlocks']) {
      const { call } = await serve(
        async (service) => {
          service.addHook('onSend', async (_request, reply, payload) => {
            if (Buffer.isBuffer(payload)) return payload.toString().toUpperCase();
            reply.removeHeader('content-length');
            return (payload as NodeJS.ReadableStream).pipe(
              new Transform({
                transform: (chunk: Buffer, _encoding, done) => done(null, chunk.toString().toUpperCase()),
              }),
            );
          });
        },
        application,
        language,
      );
      const { body } = await call('/shop');
      expect(body.toString()).toBe(application === 'hello' ? 'HELLO, WORLD!\n' : 'ONE,TWO,THREE');
    }
  });

  it('a hook that throws is answered by the error handler, and the next request is served', async () => {
    const { call } = await serve(
      async (service) => {
        service.addHook('onSend', async (request) => {
          if (request.headers['x-fail'] !== undefined) throw new Error('no');
        });
      },
      'severalBlocks',
      language,
    );
    for (const url of ['/shop', '/shop']) {
      expect((await call(url, 'X-Fail: 1\r\n')).status).toBe(500);
      expect((await call(url)).body.toString()).toBe('one,two,three');
    }
  });
});

describe('cookies', () => {
  const headers = [['Set-Cookie', 'of=application']];

  it('of @fastify/cookie go out beside those of the application, once each', async () => {
    const { call } = await serve(async (app) => {
      await app.register(cookie);
      app.addHook('onRequest', async (_request, reply) => void reply.setCookie('of', 'hook'));
    }, 'headFromQuery');
    for (const body of [['one'], ['one', 'two']]) {
      const answer = await call(ask({ headers, body }));
      expect(cookiesOf(answer).sort()).toEqual(['of=application', 'of=hook; SameSite=Lax']);
    }
  });

  it('of @fastify/session begin a session, which the next request is in', async () => {
    const { call } = await serve(async (app) => {
      await app.register(cookie);
      await app.register(session, { secret: 'x'.repeat(32), cookie: { secure: false } });
      app.addHook('preHandler', async (request, reply) => {
        const seen = (request.session.get('count' as never) as number | undefined) ?? 0;
        request.session.set('count' as never, (seen + 1) as never);
        reply.header('x-count', seen + 1);
      });
    }, 'headFromQuery');
    const first = await call(ask({ headers }));
    const [own] = cookiesOf(first).filter((text) => text.startsWith('sessionId='));
    expect(own).toBeDefined();
    expect(cookiesOf(first)).toContain('of=application');
    const second = await call(ask({ headers }), `Cookie: ${own?.split(';')[0]}\r\n`);
    expect([first.headers['x-count'], second.headers['x-count']]).toEqual(['1', '2']);
  });
});

describe('@fastify/compress', () => {
  it.each([
    ['whole', ['x'.repeat(5000)]],
    ['in blocks', ['x'.repeat(3000), 'y'.repeat(2000)]],
  ])('compresses a body that comes %s', async (_how, body) => {
    const { call } = await serve((app) => app.register(compress) as never, 'headFromQuery');
    const url = ask({ headers: [['Content-Type', 'text/plain']], body });
    const answer = await call(url.slice(0, 8000), 'Accept-Encoding: gzip\r\n');
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(answer.headers.vary).toContain('accept-encoding');
    expect([undefined, String(answer.body.length)]).toContain(answer.headers['content-length']);
    expect(gunzipSync(answer.body).toString()).toBe(body.join(''));
  });

  it('leaves alone what is small, and what is encoded already', async () => {
    const { call } = await serve((app) => app.register(compress) as never, 'headFromQuery');
    const small = await call(ask({ headers: [['Content-Type', 'text/plain']] }), 'Accept-Encoding: gzip\r\n');
    expect([small.headers['content-encoding'], small.body.toString()]).toEqual([undefined, 'body']);
    const encoded = ask({ headers: [['Content-Encoding', 'br']], body: ['x'.repeat(5000)] });
    const answer = await call(encoded, 'Accept-Encoding: gzip\r\n');
    expect([answer.headers['content-encoding'], answer.body.length]).toEqual(['br', 5000]);
  });
});

it('@fastify/cors answers preflights, and adds to what the application says', async () => {
  const { call } = await serve((app) => app.register(cors, { origin: ['https://a.example'] }) as never);
  const fields = 'Origin: https://a.example\r\n';
  const preflight = await call('/shop', `${fields}Access-Control-Request-Method: PUT\r\n`, 'OPTIONS');
  expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([
    204,
    'https://a.example',
  ]);
  const answer = await call('/shop', fields);
  expect(answer.headers['access-control-allow-origin']).toBe('https://a.example');
  expect(answer.body.toString()).toBe('one,two,three');
});

it('@fastify/helmet adds its fields, and those of the application win', async () => {
  const { call } = await serve((app) => app.register(helmet) as never, 'headFromQuery');
  const answer = await call(ask({ headers: [['X-Frame-Options', 'DENY']] }));
  expect(answer.headers['x-frame-options']).toBe('DENY');
  expect(answer.headers['content-security-policy']).toContain("default-src 'self'");
});

it('@fastify/rate-limit counts down in the fields, then answers 429 without asking the application', async () => {
  const { call } = await serve((app) => app.register(rateLimit, { max: 2, timeWindow: '1 minute' }) as never);
  const answers = [await call('/shop'), await call('/shop'), await call('/shop')];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(answers.map(({ headers }) => headers['x-ratelimit-remaining'])).toEqual(['1', '0', '0']);
});

it('@fastify/under-pressure answers 503 in place of the application', async () => {
  let isWell = true;
  const { call } = await serve(
    (app) =>
      app.register(underPressure, { healthCheck: async () => isWell, healthCheckInterval: 5 }) as never,
  );
  expect((await call('/shop')).status).toBe(200);
  isWell = false;
  for (let status = 200; status !== 503; ) status = (await call('/shop')).status;
});

it('@fastify/static serves its files beside the application, which has the rest', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lido-'));
  writeFileSync(join(folder, 'a.txt'), 'a file');
  const { call } = await serve(
    (app) => app.register(serveFolder, { root: folder, prefix: '/shop/static/' }) as never,
  );
  expect((await call('/shop/static/a.txt')).body.toString()).toBe('a file');
  expect((await call('/shop/other')).body.toString()).toBe('one,two,three');
});

it('@fastify/http-proxy sends requests to a service behind, and Lido has the rest', async () => {
  const behind = http.createServer((_request, response) => response.end('behind')).listen(0, '127.0.0.1');
  onTestFinished(() => void behind.close());
  await once(behind, 'listening');
  const upstream = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`;
  const { call } = await serve((app) => app.register(proxy, { upstream, prefix: '/behind' }) as never);
  expect((await call('/behind/x')).body.toString()).toBe('behind');
  expect((await call('/shop')).body.toString()).toBe('one,two,three');
});

it("OpenTelemetry's HTTP instrumentation sees one span for each request, to its end, and hooks are within it", async () => {
  const program = `
    import { createRequire } from 'node:module';
    import { trace } from '@opentelemetry/api';
    import { registerInstrumentations } from '@opentelemetry/instrumentation';
    import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
    import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
    const exporter = new InMemorySpanExporter();
    new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
    registerInstrumentations({ instrumentations: [new HttpInstrumentation()] });
    const http = createRequire(import.meta.url)('node:http');
    const { default: Fastify } = await import('fastify');
    const { default: lido } = await import('./dist/src/fastify.js');
    const app = Fastify();
    app.addHook('onSend', async (_request, reply) => {
      reply.header('x-trace', trace.getActiveSpan()?.spanContext().traceId ?? 'none');
    });
    await app.register(lido, { application: 'test/apps/applications.mjs:severalBlocks', threads: 1, prefix: '/shop' });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const answers = [];
    for (const path of ['/shop', '/none'])
      answers.push(await new Promise((resolve) => {
        http.get({ port: app.server.address().port, path, agent: false }, (response) => {
          response.resume().on('end', () => resolve(response.headers['x-trace']));
        });
      }));
    await app.close();
    const spans = exporter.getFinishedSpans().filter(({ kind }) => kind === 1);
    console.log(JSON.stringify({
      statuses: spans.map(({ attributes }) => attributes['http.status_code'] ?? attributes['http.response.status_code']),
      isWithin: spans.every((span, index) => span.spanContext().traceId === answers[index]),
    }));`;
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { cwd: root });
  expect(JSON.parse(stdout)).toEqual({ statuses: [200, 404], isWithin: true });
});
