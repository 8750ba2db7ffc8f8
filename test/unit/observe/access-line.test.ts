// What a line of the access log says, and what cannot break it.
import { expect, it } from 'vitest';
import { compileAccessFormat, escapeValue } from '../../../dist/src/observe/access-line.js';
import { parseAccessFormat } from '../../../dist/src/settings/access-format.js';
import { finished } from '../../support/finished-request.js';

const write = (format: string, request = finished()) =>
  compileAccessFormat(parseAccessFormat(format))(request);

const TIME = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]`;

it('is the combined format of Apache and nginx', () => {
  expect(write('combined')).toMatch(
    new RegExp(
      `^192\\.0\\.2\\.1 - ada ${TIME} "GET /shop\\?q=1 HTTP/1\\.1" 200 1234 "http://lido\\.test/" "curl/8"$`,
    ),
  );
  expect(write('common')).toMatch(
    new RegExp(`^192\\.0\\.2\\.1 - ada ${TIME} "GET /shop\\?q=1 HTTP/1\\.1" 200 1234$`),
  );
});

it.each([
  ['%(m)s %(U)s?%(q)s %(H)s', 'GET /shop?q=1 HTTP/1.1'],
  ['%(s)s %(B)s %(b)s', '200 1234 1234'],
  ['%(T)s %(M)s %(D)s %(L)s', '1 1500 1500250 1.500250'],
  ['%(p)s', `<${process.pid}>`],
  ['%(R)s %(W)s', 'abc-1 3'],
  ['%({User-Agent}i)s %({x-missing}i)s', 'curl/8 -'],
  ['%({Content-Type}o)s', 'text/html'],
  ['%({REMOTE_USER}e)s', 'ada'],
  ['100%% of %(s)s', '100% of 200'],
])('%s ► %s', (format, line) => {
  expect(write(format)).toBe(line);
});

it('shows nothing as a dash', () => {
  const nothing = finished({ remoteAddress: '', bytesSent: 0, requestField: () => undefined });
  expect(write('%(h)s %(l)s %(u)s %(b)s "%(f)s" "%(a)s" %(q)s', nothing)).toBe('- - - - "-" "-" q=1');
});

it.each([
  ['a"b', String.raw`a\"b`],
  ['a\\b', String.raw`a\\b`],
  ['one\r\nGET /forged', String.raw`one\x0d\x0aGET /forged`],
  ['\x1b[2J', String.raw`\x1b[2J`],
  ['caf\xe9\x85', String.raw`caf\xe9\x85`],
  ['\u2028', String.raw`\xe2\x80\xa8`],
  ['plain ~!#[]', 'plain ~!#[]'],
])('%j breaks no line', (value, escaped) => {
  expect(escapeValue(value)).toBe(escaped);
  const line = write(
    '%(r)s "%(a)s" %({x}i)s %(u)s',
    finished({ url: `/${value}`, requestField: () => value }),
  );
  expect(line).not.toMatch(/[^ -~]/);
});

it.each([
  ['%(x)s', '%(x)s names nothing; there are: h l u t r'],
  ['%(s)d', 'a percent sign that begins no %(NAME)s is written %%'],
  ['jsno', 'takes json, common, combined, or text with %(NAME)s in it'],
])('%s is refused', (format, text) => {
  expect(() => parseAccessFormat(format)).toThrow(text);
});
