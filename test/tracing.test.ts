// A span for each request, by OpenTelemetry's real SDK, and applications that continue its trace.
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { beforeEach, describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, languages, root, startServer, venv } from './support/server.js';

const exporter = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
beforeEach(() => exporter.reset());

const traced = { tracing: true } as const;
const trusted = { forwardedAllowIps: ['127.0.0.1'] };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const traceparent = `traceparent: 00-${TRACE}-${PARENT}-01\r\ntracestate: vendor=1\r\n`;

/** The only span, once it is over. */
async function onlySpan(): Promise<ReadableSpan> {
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(1);
  return exporter.getFinishedSpans()[0] as ReadableSpan;
}

const secondsOf = ([seconds, nanoseconds]: readonly [number, number]) => seconds + nanoseconds / 1e9;

it('says of a request what the semantic conventions want', async () => {
  const { port } = await startServer({ ...fixture('javascript', 'hello'), ...traced });
  const before = Date.now() / 1000;
  await exchange(
    port,
    'GET /a/b?q=1&sig=secret HTTP/1.1\r\nHost: lido.test:81\r\nUser-Agent: curl/8\r\n\r\n',
  );
  const { name, kind, attributes, status, startTime, endTime, parentSpanContext } = await onlySpan();
  expect({ name, kind, status, parentSpanContext }).toEqual({
    name: 'GET',
    kind: SpanKind.SERVER,
    status: { code: SpanStatusCode.UNSET },
    parentSpanContext: undefined,
  });
  expect(attributes).toEqual({
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    'url.scheme': 'http',
    'url.path': '/a/b',
    'url.query': 'q=1&sig=REDACTED',
    'network.protocol.version': '1.1',
    'network.peer.address': '127.0.0.1',
    'network.peer.port': expect.any(Number),
    'client.address': '127.0.0.1',
    'server.address': 'lido.test',
    'server.port': 81,
    'user_agent.original': 'curl/8',
    'lido.request_id': expect.stringMatching(/^[0-9a-f]{8}-1$/),
    'lido.mount': '/',
    'lido.queue.duration': expect.any(Number),
    'lido.application.duration': expect.any(Number),
  });
  expect(secondsOf(startTime)).toBeGreaterThan(before - 0.1);
  expect(secondsOf(endTime)).toBeGreaterThanOrEqual(secondsOf(startTime));
});

it('tells how long a request waited for a worker, and how long the worker had it', async () => {
  const source = `
    export function application(environ, startResponse) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      startResponse('200 OK', []);
      return ['slept'];
    }`;
  const application = `${makeFolder({ 'sleep.mjs': source })}/sleep.mjs`;
  const { port } = await startServer({ application, ...traced });
  await Promise.all([exchange(port, get('/')), exchange(port, get('/'))]);
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(2);
  const [, second] = exporter.getFinishedSpans().map(({ attributes }) => attributes);
  expect(second?.['lido.queue.duration']).toBeGreaterThanOrEqual(0.09);
  expect(second?.['lido.application.duration']).toBeGreaterThanOrEqual(0.09);
  expect(second?.['lido.application.duration']).toBeLessThan(
    (second?.['lido.queue.duration'] as number) + 0.09,
  );
});

describe('what becomes of a request', () => {
  it('that the application fails is an error, with its traceback', async () => {
    const { port } = await startServer({ ...fixture('python', 'failsBefore'), ...traced });
    await exchange(port, get('/'));
    const { attributes, status, events } = await onlySpan();
    expect(status.code).toBe(SpanStatusCode.ERROR);
    expect(attributes).toMatchObject({
      'http.response.status_code': 500,
      'error.type': 'LIDO_APPLICATION_RAISED',
    });
    expect(events).toMatchObject([
      {
        name: 'exception',
        attributes: {
          'exception.type': 'LIDO_APPLICATION_RAISED',
          'exception.stacktrace': expect.stringContaining('Traceback'),
        },
      },
    ]);
  });

  it('that no application sees is in a span too', async () => {
    const folder = makeFolder({ 'site/a.css': 'body {}' });
    const { port } = await startServer({
      mounts: { '/shop': fixture('javascript', 'hello').application as string },
      static: { '/files': `${folder}/site` },
      ...traced,
    });
    for (const request of [
      get('/nowhere'),
      get('/files/a.css'),
      'GET /shop HTTP/1.1\r\n\r\n',
      get('/shop', '', 'BREW'),
    ])
      await exchange(port, request);
    await expect.poll(() => exporter.getFinishedSpans().length).toBe(4);
    expect(
      exporter
        .getFinishedSpans()
        .map(({ name, status, attributes }) => [
          name,
          attributes['http.request.method_original'] ?? attributes['http.request.method'],
          attributes['url.path'],
          attributes['http.response.status_code'],
          status.code,
        ]),
    ).toEqual([
      ['GET', 'GET', '/nowhere', 404, SpanStatusCode.UNSET],
      ['GET', 'GET', '/files/a.css', 200, SpanStatusCode.UNSET],
      ['GET', 'GET', '/shop', 400, SpanStatusCode.UNSET],
      ['HTTP', 'BREW', '/shop', 200, SpanStatusCode.UNSET],
    ]);
  });

  it('whose client went has no status', async () => {
    const application = `${makeFolder({ 'never.mjs': 'export const application = () => new Promise(() => {});' })}/never.mjs`;
    const { port, server } = await startServer({ application, gracefulTimeout: 0.1, ...traced });
    const client = new RawClient(port);
    client.send(get('/'));
    await expect.poll(() => server.stats()[0]?.busy).toBe(1);
    client.socket.resetAndDestroy();
    const { attributes } = await onlySpan();
    expect(attributes['http.response.status_code']).toBeUndefined();
    expect(attributes['lido.application.duration']).toBeGreaterThan(0);
  });
});

describe('the trace', () => {
  /** Answers with what the environ says of the trace. */
  const source = `export function application(environ, startResponse) {
    startResponse('200 OK', []);
    return [JSON.stringify([environ.HTTP_TRACEPARENT, environ.HTTP_TRACESTATE])];
  }`;
  const application = () => `${makeFolder({ 'tells.mjs': source })}/tells.mjs`;
  const ask = async (port: number, fields = '') =>
    JSON.parse((await exchange(port, get('/', fields))).body.toString()) as [string, string];

  it('of a trusted proxy is continued, and the application is handed Lido’s own span', async () => {
    const { port } = await startServer({ application: application(), ...traced, ...trusted });
    const told = await ask(port, traceparent);
    const span = await onlySpan();
    const { traceId, spanId } = span.spanContext();
    expect([traceId, span.parentSpanContext?.spanId]).toEqual([TRACE, PARENT]);
    expect(told).toEqual([`00-${TRACE}-${spanId}-01`, 'vendor=1']);
  });

  it('of anybody else is not: a new one begins', async () => {
    const { port } = await startServer({ application: application(), ...traced });
    const told = await ask(port, traceparent);
    const span = await onlySpan();
    const { traceId, spanId } = span.spanContext();
    expect(span.parentSpanContext).toBeUndefined();
    expect(traceId).not.toBe(TRACE);
    expect(told).toEqual([`00-${traceId}-${spanId}-01`, '']);
  });

  it('is named in the log', async () => {
    const { port, findLine } = await startServer({ ...fixture('javascript', 'failsBefore'), ...traced });
    await exchange(port, get('/'));
    const { traceId } = (await onlySpan()).spanContext();
    expect((await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED')).traceId).toBe(traceId);
  });

  it('is what the client named where nobody traces', async () => {
    const { port } = await startServer({ application: application() });
    expect(await ask(port, traceparent)).toEqual([`00-${TRACE}-${PARENT}-01`, 'vendor=1']);
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it.each(languages)('is continued by an application of %s', async (language) => {
    const continues = {
      ...fixture(language, 'hello'),
      application: `${root}test/apps/${language === 'javascript' ? 'continues_trace.mjs' : 'continues_trace.py'}:application`,
    };
    const { port } = await startServer({ ...continues, ...traced });
    const { body } = await exchange(port, get('/'));
    const { traceId, spanId } = (await onlySpan()).spanContext();
    expect(body.toString()).toBe(`${traceId} ${spanId}`);
  });
});

it('is handed to an ASGI application as a header', async () => {
  const source = `async def application(scope, receive, send):
    if scope['type'] != 'http':
        return
    told = dict(scope['headers'])[b'traceparent']
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': told})
`;
  const application = `${makeFolder({ 'tells.py': source })}/tells.py`;
  const { port } = await startServer({ application, python: venv, ...traced });
  const { body } = await exchange(port, get('/', traceparent));
  const { traceId, spanId } = (await onlySpan()).spanContext();
  expect(body.toString()).toBe(`00-${traceId}-${spanId}-01`);
});

it('is a mistake at the start where OpenTelemetry is not installed', async () => {
  const hides = `export async function resolve(name, context, next) {
    if (name.startsWith('@opentelemetry/')) throw Object.assign(new Error('none'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  }`;
  const cwd = makeFolder({
    'hides.mjs': hides,
    'hide.mjs': `import { register } from 'node:module'; register('./hides.mjs', import.meta.url);`,
    'site.mjs': 'export const application = () => [];',
  });
  const env = { NODE_OPTIONS: `--import ${cwd}/hide.mjs` };
  expect(await runLido(['--tracing', '--bind', '127.0.0.1:0', 'site.mjs'], { cwd, env })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      'LIDO_TRACING_NOT_INSTALLED tracing is on, and the package @opentelemetry/api',
    ),
  });
  // Nothing of it is asked for where it is off.
  const server = await serveLido(['site.mjs'], { cwd, env });
  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
});

it('warns where nothing records, and sends what is left at the end where something does', async () => {
  const cwd = makeFolder({
    'tells.py': `def application(environ, start_response):
    start_response('200 OK', [])
    return [environ.get('HTTP_TRACEPARENT', 'none').encode()]
`,
    'record.mjs': `
      import { createRequire } from 'node:module';
      import { isMainThread } from 'node:worker_threads';
      const { BatchSpanProcessor, ConsoleSpanExporter, NodeTracerProvider } =
        createRequire(${JSON.stringify(`${root}package.json`)})('@opentelemetry/sdk-trace-node');
      // An hour: what is told is what the end makes it tell.
      const processor = new BatchSpanProcessor(new ConsoleSpanExporter(), { scheduledDelayMillis: 3_600_000 });
      if (isMainThread) new NodeTracerProvider({ spanProcessors: [processor] }).register();`,
  });
  const words = ['--tracing', '--python', venv, 'tells.py'];
  const silent = await serveLido(words, { cwd });
  await silent.waitFor('tracing is on, and nothing records it');
  expect(await (await fetch(silent.url)).text()).toBe('none');
  const server = await serveLido(words, { cwd, env: { NODE_OPTIONS: `--import ${cwd}/record.mjs` } });
  const told = await (await fetch(server.url)).text();
  expect(told).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(server.stderr()).not.toContain('nothing records');
  server.child.kill('SIGTERM');
  const { code, stdout } = await server.ended;
  expect(code).toBe(0);
  expect(stdout).toContain(told.split('-')[1]);
});

it('belongs into the span of the program that embeds Lido', async () => {
  const { createHandler } = await import('../dist/src/index.js');
  const handler = createHandler({ ...fixture('javascript', 'hello'), threads: 1, ...traced } as never);
  const http = await import('node:http');
  const tracer = trace.getTracer('program');
  const server = http.createServer((request, response) =>
    tracer.startActiveSpan('program', (span) => {
      response.once('close', () => span.end());
      handler(request, response);
    }),
  );
  await handler.ready();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await exchange(port, get('/', 'Connection: close\r\n'));
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(2);
  const [own, program] = [...exporter.getFinishedSpans()].sort((one) => (one.name === 'program' ? 1 : -1));
  expect(own?.kind).toBe(SpanKind.INTERNAL);
  expect(own?.parentSpanContext?.spanId).toBe(program?.spanContext().spanId);
  await handler.close();
  await new Promise((resolve) => server.close(resolve));
});
