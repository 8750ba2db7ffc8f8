// A request's id: one name for it in every log, the proxy's included.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
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
