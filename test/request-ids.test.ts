// A request's id: one name for it in every log, the proxy's included.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { fixture, type Language, languages, startServer } from './support/server.js';

const trusted = { forwardedAllowIps: ['127.0.0.1'] };

async function idOf(port: number, fields = ''): Promise<string> {
  const { body } = await exchange(port, get('/', fields));
  return /lido\.request_id["']?: ["']?([^"',\n]+)/.exec(body.toString())?.[1] ?? body.toString();
}

function showId(language: Language) {
  const sources = {
    'show.mjs': `export function application(environ, startResponse) {
      startResponse('200 OK', []);
      return [environ['lido.request_id']];
    }`,
    'show.py': `def application(environ, start_response):
    start_response('200 OK', [])
    return [environ['lido.request_id'].encode()]
`,
  };
  const file = language === 'javascript' ? 'show.mjs' : 'show.py';
  return { ...fixture(language, 'hello'), application: `${makeFolder(sources)}/${file}:application` };
}

it.each(languages)('is given to %s as a trusted proxy named it', async (language) => {
  const { port } = await startServer({ ...showId(language), ...trusted });
  expect(await idOf(port, 'X-Request-ID: 7f3a-1/B.c_d\r\n')).toBe('7f3a-1/B.c_d');
});

it.each([
  ['nobody is trusted', {}, 'X-Request-ID: proxy-1\r\n'],
  [
    'the proxy is trusted with other fields',
    { ...trusted, forwardedFields: ['x-forwarded-for'] as const },
    'X-Request-ID: proxy-1\r\n',
  ],
  ['it could break a line', trusted, 'X-Request-ID: proxy-1 <script>\r\n'],
  ['there are two', trusted, 'X-Request-ID: proxy-1\r\nX-Request-ID: proxy-2\r\n'],
  ['it is longer than any', trusted, `X-Request-ID: ${'x'.repeat(201)}\r\n`],
])('is Lido’s own where %s', async (_why, settings, fields) => {
  const { port } = await startServer({ ...showId('javascript'), ...settings });
  expect(await idOf(port, fields)).toMatch(/^[0-9a-f]{8}-1$/);
});

it('stands in the log, the access log and the answer', async () => {
  const file = join(makeFolder({}), 'access.log');
  const { port, server, findLine } = await startServer({
    ...fixture('javascript', 'failsBefore'),
    ...trusted,
    accessLog: file,
    accessLogFormat: '%(R)s',
    sendRequestId: true,
  });
  const { status, headers } = await exchange(port, get('/', 'X-Request-ID: proxy-1\r\n'));
  expect([status, headers['x-request-id']]).toEqual([500, 'proxy-1']);
  expect((await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED')).requestId).toBe('proxy-1');
  await server.close();
  expect(readFileSync(file, 'utf8')).toBe('proxy-1\n');
});

it('is not told to clients unless asked for, nor in the place of the application’s own', async () => {
  const quiet = await startServer(showId('javascript'));
  expect((await exchange(quiet.port, get('/'))).headers['x-request-id']).toBeUndefined();
  const source = `export function application(environ, startResponse) {
    startResponse('200 OK', [['x-request-id', 'its own']]);
    return [''];
  }`;
  const application = `${makeFolder({ 'own.mjs': source })}/own.mjs`;
  const { port } = await startServer({ application, sendRequestId: true });
  const { rawHeaders } = await exchange(port, get('/'));
  expect(rawHeaders.filter(([name]) => name.toLowerCase() === 'x-request-id')).toEqual([
    ['x-request-id', 'its own'],
  ]);
});

it('is there for requests that no application sees', async () => {
  const folder = makeFolder({ 'site/a.css': 'body {}' });
  const file = join(folder, 'access.log');
  const { port, server } = await startServer({
    mounts: { '/shop': fixture('javascript', 'hello').application as string },
    static: { '/files': `${folder}/site` },
    ...trusted,
    accessLog: file,
    accessLogFormat: '%(s)s %(R)s',
    sendRequestId: true,
  });
  const ask = async (request: string) => (await exchange(port, request)).headers['x-request-id'];
  const named = 'X-Request-ID: proxy-1\r\n';
  expect(await ask(get('/nowhere', named))).toBe('proxy-1');
  expect(await ask(get('/files/a.css', named))).toBe('proxy-1');
  expect(await ask(`GET /shop HTTP/1.1\r\n${named}\r\n`)).toBe('proxy-1');
  const own = await ask(get('/nowhere'));
  await exchange(port, 'garbage\r\n\r\n');
  await server.close();
  expect(readFileSync(file, 'utf8').split('\n').slice(0, -1)).toEqual([
    '404 proxy-1',
    '200 proxy-1',
    '400 proxy-1',
    `404 ${own}`,
    expect.stringMatching(/^400 [0-9a-f]{8}-[0-9a-z]+$/),
  ]);
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `traceparent: 00-${TRACE}-b7ad6b7169203331-01\r\n`;

describe('the trace that a trusted proxy names', () => {
  const source = `export function application(environ, startResponse) {
    environ['wsgi.errors'].write('said\\n');
    if (environ.PATH_INFO === '/fails') throw new Error('no');
    startResponse('200 OK', []);
    return [environ.HTTP_TRACEPARENT];
  }`;
  const application = () => `${makeFolder({ 'says.mjs': source })}/says.mjs`;

  it('stands in the lines of the logs, and goes on to the application', async () => {
    const file = join(makeFolder({}), 'access.log');
    const logs = { accessLog: file, accessLogFormat: 'json' };
    const { port, server, findLine } = await startServer({ application: application(), ...trusted, ...logs });
    const { body } = await exchange(port, get('/fails', traceparent));
    expect(body.toString()).not.toContain(TRACE);
    const failed = await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED');
    const said = await findLine(({ msg }) => msg === 'said');
    expect([failed, said]).toMatchObject([{ traceId: TRACE }, { traceId: TRACE }]);
    const answer = await exchange(port, get('/', traceparent));
    expect(answer.body.toString()).toContain(TRACE);
    await exchange(port, `GET / HTTP/1.1\r\n${traceparent}\r\n`);
    await server.close();
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { traceId: string }).traceId)).toEqual([
      TRACE,
      TRACE,
      TRACE,
    ]);
  });

  it('is shown to people behind the id', async () => {
    const cwd = makeFolder({ 'says.mjs': source });
    const server = await serveLido(['--forwarded-allow-ips', '127.0.0.1', 'says.mjs'], { cwd });
    await exchange(Number(new URL(server.url).port), get('/fails', traceparent));
    await server.waitFor('LIDO_APPLICATION_RAISED');
    expect(server.stderr()).toMatch(
      new RegExp(String.raw`LIDO_APPLICATION_RAISED GET /fails \[\w+-\w+ ${TRACE}\] `),
    );
  });

  it.each([
    ['nobody is trusted', {}, traceparent],
    [
      'the proxy is trusted with other fields',
      { ...trusted, forwardedFields: ['x-request-id'] as const },
      traceparent,
    ],
    ['it names none', trusted, `traceparent: 00-${'0'.repeat(32)}-b7ad6b7169203331-01\r\n`],
    ['it is malformed', trusted, `traceparent: 00-${TRACE.toUpperCase()}-b7ad6b7169203331-01\r\n`],
  ])('is no name where %s', async (_why, settings, fields) => {
    const { port, findLine } = await startServer({ application: application(), ...settings });
    await exchange(port, get('/fails', fields));
    expect(await findLine(({ msg }) => msg === 'said')).not.toHaveProperty('traceId');
  });
});
