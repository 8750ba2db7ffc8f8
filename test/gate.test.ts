// The gate by itself: what node:http's parser cannot send it, because inject() and other servers can.
import type { IncomingMessage } from 'node:http';
import Fastify, { type InjectOptions } from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkRequest, type GateLimits } from '../dist/src/http/gate.js';
import { isHost } from '../dist/src/http/grammar.js';

const limits: GateLimits = { requestLine: 100, fields: 10, fieldSize: 50, maxBodySize: 1000 };
const none: GateLimits = { requestLine: 0, fields: 0, fieldSize: 0, maxBodySize: 0 };

interface Parts {
  readonly method?: string;
  readonly url?: string;
  readonly version?: string;
  readonly fields?: readonly (readonly [string, string])[];
}

/** A request as node:http would hand it over, but for the parser's own checks. */
function makeRequest({ method = 'GET', url = '/', version = '1.1', fields = [] }: Parts): IncomingMessage {
  const all = [['Host', 'lido.test'], ...fields];
  const [major, minor] = version.split('.').map(Number);
  const headers: Record<string, string> = {};
  for (const [name = '', value = ''] of all) headers[name.toLowerCase()] = value;
  const rawHeaders = all.flat();
  const parts = { method, url, httpVersion: version, httpVersionMajor: major, httpVersionMinor: minor };
  return { ...parts, rawHeaders, headers } as unknown as IncomingMessage;
}

const check = (parts: Parts, within = limits) => checkRequest(makeRequest(parts), within);
const statusOf = (parts: Parts, within = limits) => check(parts, within)?.status ?? null;

describe('what no parser has seen', () => {
  it.each([
    ['a NUL', 'a\0b'],
    ['a CR', 'a\rb'],
    ['an LF', 'a\nb'],
    ['a DEL', 'a\x7f'],
    ['a character that is no byte', 'a\u20ac'],
  ])('%s in a value is refused', (_name, value) => {
    expect(check({ fields: [['X-A', value]] })).toEqual({ status: 400, reason: 'malformed header field' });
  });

  it.each(['', 'X A', 'X:A', 'X\0A', 'X\r\nA', 'X\u00e4', 'X"'])('the name %j is refused', (name) => {
    expect(check({ fields: [[name, 'a']] })).toEqual({ status: 400, reason: 'malformed header field' });
    // Not remembered as a good one, either.
    expect(statusOf({ fields: [[name, 'a']] })).toBe(400);
  });

  it.each(['', 'G T', 'GET\0', 'G\u00cbT', 'GE:T'])('the method %j is refused', (method) => {
    expect(check({ method })).toEqual({ status: 400, reason: 'malformed method' });
  });

  it.each([
    '',
    '/\0',
    '/ ',
    '/\t',
    '/\x7f',
    '/\u00e9',
    '/\u20ac',
    '/#',
    'x',
    '*',
    'http:/x',
    'http://',
    'http://a b/',
  ])('the target %j is refused', (url) => {
    expect(statusOf({ url })).toBe(400);
  });

  it('a line without a version, which node:http calls HTTP/0.9, is malformed', () => {
    expect(check({ version: '0.9' })).toEqual({
      status: 400,
      reason: 'the request line names no version of HTTP in use',
    });
  });

  it.each(['2.0', '3.0'])('HTTP/%s is refused', (version) => {
    expect(check({ version })).toEqual({
      status: 505,
      reason: `HTTP/${version} is not served here: use HTTP/1.1`,
    });
  });

  it.each(['/a%00', '/%00?x', 'http://lido.test/%00'])('the NUL in %s is refused', (url) => {
    expect(check({ url })).toEqual({ status: 400, reason: 'a path holds no NUL' });
  });

  it('a tab, spaces and high bytes pass in a value, and names that objects have of their own', () => {
    expect(check({ fields: [['X-A', 'a\t b \x80\xff']] })).toBeNull();
    expect(
      check({
        fields: [
          ['constructor', 'a'],
          ['__proto__', 'b'],
          ['toString', 'c'],
        ],
      }),
    ).toBeNull();
  });
});

describe('fields that may come once', () => {
  it.each(['Host', 'Content-Length', 'Content-Type', 'Transfer-Encoding', 'Expect', 'Authorization'])(
    '%s',
    (name) => {
      const value = name === 'Host' ? 'lido.test' : '1';
      const twice = [
        [name, value],
        [name.toUpperCase(), value],
      ] as const;
      const fields = name === 'Host' ? twice.slice(1) : twice;
      expect(check({ fields })).toMatchObject({
        status: 400,
        reason: `more than one ${name.toUpperCase()} field`,
      });
    },
  );

  it('others may come again', () => {
    const fields = [
      ['Accept', 'a'],
      ['Accept', 'b'],
      ['Cookie', 'c'],
      ['Cookie', 'd'],
    ] as const;
    expect(check({ fields })).toBeNull();
  });
});

describe('limits', () => {
  it('of the request line, version and spaces included', () => {
    expect(statusOf({ url: `/${'x'.repeat(86)}` })).toBeNull();
    expect(statusOf({ url: `/${'x'.repeat(87)}` })).toBe(414);
  });

  it('of the number of fields', () => {
    const fields = (count: number) => Array.from({ length: count }, () => ['X', 'a'] as const);
    expect(statusOf({ fields: fields(9) })).toBeNull();
    expect(statusOf({ fields: fields(10) })).toBe(431);
  });

  it('of a field, colon and space included', () => {
    expect(statusOf({ fields: [['X-A', 'x'.repeat(45)]] })).toBeNull();
    expect(statusOf({ fields: [['X-A', 'x'.repeat(46)]] })).toBe(431);
  });

  it('of the body, where its length is told', () => {
    expect(statusOf({ fields: [['Content-Length', '1000']] })).toBeNull();
    expect(statusOf({ fields: [['Content-Length', '1001']] })).toBe(413);
  });

  it('0 is no limit', () => {
    const fields = Array.from({ length: 5000 }, () => ['X', 'x'.repeat(50)] as const);
    const url = `/${'x'.repeat(100_000)}`;
    expect(check({ url, fields: [...fields, ['Content-Length', '99999999999']] }, none)).toBeNull();
  });

  it('holds for names that come after a great many others', () => {
    for (let index = 0; index < 3000; index += 1) check({ fields: [[`X-${index}`, 'a']] });
    expect(check({ fields: [['X-Late', 'a']] })).toBeNull();
    expect(statusOf({ fields: [['X Late', 'a']] })).toBe(400);
    expect(
      statusOf({
        fields: [
          ['conTent-Type', 'a'],
          ['cOntent-Type', 'b'],
        ],
      }),
    ).toBe(400);
  });
});

describe('isHost', () => {
  it.each([
    'a',
    'a.b-c_d~e',
    'a:0',
    'a:65535',
    'a:',
    '1.2.3.4:80',
    '[::1]',
    '[::ffff:1.2.3.4]:80',
    'x%41',
    "!$&'()*+,;=",
  ])('takes %j', (host) => {
    expect(isHost(host)).toBe(true);
  });

  it.each([
    '',
    ':',
    ':80',
    'a b',
    'a/b',
    'a?b',
    'a#b',
    'a@b',
    'a\\b',
    'a:b',
    'a:1:2',
    'a:65536',
    'a:99999',
    '::1',
    '[::1',
    '[]',
    '[x]',
    '%',
    '%4',
    '%zz',
    '\u00e9',
    'a\n',
  ])('refuses %j', (host) => {
    expect(isHost(host)).toBe(false);
  });
});

describe("Fastify's inject()", () => {
  async function inject(options: InjectOptions) {
    const app = Fastify();
    onTestFinished(() => app.close());
    app.addHook('onRequest', (request, reply, done) => {
      const refusal = checkRequest(request.raw, limits);
      if (refusal === null) done();
      else reply.code(refusal.status).send(refusal.reason);
    });
    app.all('/*', () => 'passed');
    const { statusCode, body } = await app.inject(options);
    return { statusCode, body };
  }

  it('passes plain requests', async () => {
    expect(await inject({ url: '/a/../b?c' })).toEqual({ statusCode: 200, body: 'passed' });
    expect(await inject({ method: 'POST', url: '/', payload: { a: 1 } })).toMatchObject({ statusCode: 200 });
  });

  it('passes one without a User-Agent', async () => {
    const headers = { 'user-agent': undefined };
    expect(await inject({ url: '/', headers })).toEqual({ statusCode: 200, body: 'passed' });
  });

  it.each([
    [{ 'x-a': 'a\0HTTP_X_B\0b' }, 400, 'malformed header field'],
    [{ 'x-a': 'a\r\nx-b: b' }, 400, 'malformed header field'],
    [{ host: 'a b' }, 400, 'malformed Host'],
    [{ 'content-type': ['a/b', 'c/d'] }, 400, 'more than one content-type field'],
    [{ expect: 'x' }, 417, 'no expectation but 100-continue is met here'],
    [{ 'x-a': 'x'.repeat(60) }, 431, 'a header field is too long'],
    [{ 'transfer-encoding': 'gzip' }, 501, 'no transfer coding but chunked is served here'],
  ])('refuses %j', async (headers, statusCode, body) => {
    expect(await inject({ url: '/', headers })).toEqual({ statusCode, body });
  });
});
