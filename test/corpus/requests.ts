// Raw requests and how Lido answers them. `\n` in a template is written out as CRLF where it ends a line of the head.

export interface Case {
  readonly name: string;
  /** Bytes as latin-1 text. */
  readonly request: string;
  /** The statuses of all answers, in order. */
  readonly statuses: readonly number[];
  /** Whether the server ends the connection after the last of them. */
  readonly closes: boolean;
}

const HOST = 'Host: lido.test\r\n';

function served(name: string, request: string): Case {
  return { name, request, statuses: [200], closes: false };
}

function refused(status: number, name: string, request: string): Case {
  return { name, request, statuses: [status], closes: true };
}

const get = (target: string, fields = HOST) => `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;

const TOKENS = "!#$%&'*+-.^_`|~09azAZ";

const requestLines: Case[] = [
  served('the simplest request', get('/')),
  served('HTTP/1.0 without Host', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'),
  { name: 'HTTP/1.0', request: 'GET / HTTP/1.0\r\n\r\n', statuses: [200], closes: true },
  served('an empty line before the request line', `\r\n${get('/')}`),
  refused(505, 'no version (HTTP/0.9)', 'GET /\r\n\r\n'),
  refused(400, 'no target', `GET HTTP/1.1\r\n${HOST}\r\n`),
  served('two spaces before the target, which llhttp takes for one', `GET  / HTTP/1.1\r\n${HOST}\r\n`),
  served('two spaces before the version, which llhttp takes for one', `GET /  HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a tab between the words', `GET\t/\tHTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a space before the method', ` GET / HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a space after the version', `GET / HTTP/1.1 \r\n${HOST}\r\n`),
  refused(400, 'a fourth word', `GET / HTTP/1.1 x\r\n${HOST}\r\n`),
  refused(400, 'http in lower case', `GET / http/1.1\r\n${HOST}\r\n`),
  refused(400, 'a version that is none', `GET / HTTP/x.y\r\n${HOST}\r\n`),
  refused(400, 'a version without a minor one', `GET / HTTP/1\r\n${HOST}\r\n`),
  {
    name: 'another protocol, which llhttp takes for HTTP/1.0',
    request: `GET / RTSP/1.0\r\n${HOST}\r\n`,
    statuses: [200],
    closes: true,
  },
  refused(505, 'HTTP/2.0 on the request line', `GET / HTTP/2.0\r\n${HOST}\r\n`),
  refused(505, 'the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  refused(505, 'HTTP/1.2', `GET / HTTP/1.2\r\n${HOST}\r\n`),
  refused(505, 'HTTP/0.9 written out', `GET / HTTP/0.9\r\n${HOST}\r\n`),
  refused(505, 'HTTP/3.0', `GET / HTTP/3.0\r\n${HOST}\r\n`),
  refused(505, 'HTTP/9.9', `GET / HTTP/9.9\r\n${HOST}\r\n`),
  refused(400, 'a bare LF after the request line', `GET / HTTP/1.1\n${HOST}\r\n`),
  refused(400, 'a bare CR after the request line', `GET / HTTP/1.1\r${HOST}\r\n`),
  refused(400, 'nothing but noise', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  refused(400, 'a NUL in the request line', `GET /\x00 HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'an SMTP greeting', 'EHLO example.test\r\n'),
  refused(414, 'a request line past the limit', get(`/${'x'.repeat(9000)}`)),
  served('a long request line within the limit', get(`/${'x'.repeat(8000)}`)),
];

const methods: Case[] = [
  ...['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'REPORT', 'MKCOL', 'SEARCH', 'TRACE'].map(
    (method) => served(`${method}`, `${method} / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`),
  ),
  refused(400, 'a method in lower case', `get / HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a method that Node does not know', `BREW / HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a method with a colon', `GE:T / HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a method with a non-ASCII byte', `G\xc9T / HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'a very long method', `${'A'.repeat(200)} / HTTP/1.1\r\n${HOST}\r\n`),
  refused(501, 'CONNECT', 'CONNECT lido.test:443 HTTP/1.1\r\nHost: lido.test:443\r\n\r\n'),
];

const targets: Case[] = [
  ...[
    '/a/../b',
    '//a//b',
    '/.',
    '/a%2Fb',
    '/%',
    '/%zz',
    '/%4',
    '/?',
    '/??',
    '/?a=/../',
    '/;p=1',
    "/!$&'()*+,;=:@",
    '/%C3%BC',
    '/[x]',
    '/{x}|^`"<>\\',
  ].map((target) => served(`the target ${JSON.stringify(target)}`, get(target))),
  served('absolute-form', get('http://lido.test/path?x')),
  served('absolute-form over https', get('https://lido.test/path')),
  served('absolute-form without a path', get('http://lido.test')),
  served('absolute-form of another host than Host', get('http://other.test:81/')),
  served('asterisk-form for OPTIONS', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'asterisk-form for GET', get('*')),
  refused(400, 'an asterisk with more', `OPTIONS *x HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, 'authority-form for GET', get('lido.test:80')),
  refused(400, 'a relative target', get('path')),
  refused(400, 'a target that is only a query', get('?x')),
  refused(400, 'absolute-form without an authority', get('http:///path')),
  refused(400, 'absolute-form with user information', get('http://user:secret@lido.test/')),
  refused(400, 'absolute-form with a malformed authority', get('http://li do/')),
  refused(400, 'another scheme', get('ftp://lido.test/')),
  refused(400, 'a scheme alone', get('http:')),
  refused(400, 'a fragment', get('/#fragment')),
  refused(400, 'a fragment behind a query', get('/?a#b')),
  refused(400, 'an encoded NUL', get('/a%00b')),
  served('an encoded NUL in the query', get('/?a=%00')),
  refused(400, 'a byte beyond ASCII', get('/\xfc')),
  refused(400, 'a DEL byte', get('/\x7f')),
  refused(400, 'a control byte', get('/\x01')),
  refused(400, 'a vertical tab', get('/\x0b')),
];

const hosts: Case[] = [
  refused(400, 'no Host', get('/', '')),
  refused(400, 'an empty Host', get('/', 'Host:\r\n')),
  refused(400, 'a Host of spaces', get('/', 'Host:   \r\n')),
  refused(400, 'two equal Hosts', get('/', `${HOST}${HOST}`)),
  refused(400, 'two Hosts', get('/', `${HOST}Host: other.test\r\n`)),
  refused(400, 'two Hosts in different letter case', get('/', `${HOST}hOST: lido.test\r\n`)),
  refused(400, 'a Host with a space', get('/', 'Host: a b\r\n')),
  refused(400, 'a Host with a path', get('/', 'Host: a/b\r\n')),
  refused(400, 'a Host with a query', get('/', 'Host: a?b\r\n')),
  refused(400, 'a Host with a fragment', get('/', 'Host: a#b\r\n')),
  refused(400, 'a Host with user information', get('/', 'Host: u@a\r\n')),
  refused(400, 'a list of Hosts', get('/', 'Host: a, b\r\n')),
  refused(400, 'a Host with a port that is no number', get('/', 'Host: a:b\r\n')),
  refused(400, 'a Host with a port too large', get('/', 'Host: a:123456\r\n')),
  refused(400, 'a Host with two ports', get('/', 'Host: a:1:2\r\n')),
  refused(400, 'a Host with a non-ASCII byte', get('/', 'Host: \xfc.test\r\n')),
  refused(400, 'an IPv6 Host without brackets', get('/', 'Host: ::1\r\n')),
  refused(400, 'an IPv6 Host without its end', get('/', 'Host: [::1\r\n')),
  refused(400, 'a Host that is a port', get('/', 'Host: :80\r\n')),
  refused(400, 'a Host with a backslash', get('/', 'Host: a\\b\r\n')),
  served('a Host with a port', get('/', 'Host: lido.test:8000\r\n')),
  served('a Host with an empty port', get('/', 'Host: lido.test:\r\n')),
  served('an IPv6 Host', get('/', 'Host: [::1]:8000\r\n')),
  served('an IPv4 Host', get('/', 'Host: 127.0.0.1\r\n')),
  served('a Host with an underscore', get('/', 'Host: my_service\r\n')),
  refused(400, 'a malformed Host beside absolute-form', get('http://lido.test/', 'Host: a b\r\n')),
  refused(400, 'a malformed Host in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a b\r\n\r\n'),
];

const fields: Case[] = [
  served('optional spaces around a value', get('/', `${HOST}X-A:  \t a \t \r\n`)),
  served('an empty value', get('/', `${HOST}X-A:\r\n`)),
  served('a value with non-ASCII bytes', get('/', `${HOST}X-A: \xe9\xff\r\n`)),
  served('a name of every token character', get('/', `${HOST}${TOKENS}: a\r\n`)),
  served('a name with an underscore, which is dropped', get('/', `${HOST}X_A: a\r\n`)),
  served('repeated fields', get('/', `${HOST}X-A: 1\r\nX-A: 2\r\n`)),
  refused(400, 'a space before the colon', get('/', `${HOST}X-A : a\r\n`)),
  refused(400, 'a tab before the colon', get('/', `${HOST}X-A\t: a\r\n`)),
  refused(400, 'a space in a name', get('/', `${HOST}X A: a\r\n`)),
  refused(400, 'an empty name', get('/', `${HOST}: a\r\n`)),
  refused(400, 'no colon', get('/', `${HOST}X-A\r\n`)),
  refused(400, 'a name with brackets', get('/', `${HOST}X[A]: a\r\n`)),
  refused(400, 'a name with a slash', get('/', `${HOST}X/A: a\r\n`)),
  refused(400, 'a name with a non-ASCII byte', get('/', `${HOST}X-\xc4: a\r\n`)),
  refused(400, 'a name with a NUL', get('/', `${HOST}X-\x00A: a\r\n`)),
  refused(400, 'obsolete folding', get('/', `${HOST}X-A: a\r\n b\r\n`)),
  refused(400, 'obsolete folding with a tab', get('/', `${HOST}X-A: a\r\n\tb\r\n`)),
  refused(400, 'a fold before the first field', `GET / HTTP/1.1\r\n ${HOST}\r\n`),
  refused(400, 'a bare LF between fields', get('/', `Host: a\nX-A: a\r\n`)),
  refused(400, 'a bare CR in a value', get('/', `${HOST}X-A: a\rb\r\n`)),
  refused(400, 'a bare LF at the end of the head', `GET / HTTP/1.1\r\n${HOST}\n`),
  refused(400, 'a NUL in a value', get('/', `${HOST}X-A: a\x00b\r\n`)),
  refused(400, 'a control byte in a value', get('/', `${HOST}X-A: a\x01b\r\n`)),
  refused(400, 'a DEL in a value', get('/', `${HOST}X-A: a\x7fb\r\n`)),
  refused(400, 'two Content-Types', get('/', `${HOST}Content-Type: a/b\r\nContent-Type: c/d\r\n`)),
  refused(431, 'a field past the limit', get('/', `${HOST}X-A: ${'x'.repeat(9000)}\r\n`)),
  served('a field within the limit', get('/', `${HOST}X-A: ${'x'.repeat(8000)}\r\n`)),
  refused(431, 'a hundred and one fields', get('/', HOST + 'X-A: a\r\n'.repeat(100))),
  served('a hundred fields', get('/', HOST + 'X-A: a\r\n'.repeat(99))),
  refused(431, 'two thousand fields', get('/', HOST + 'X-A: a\r\n'.repeat(2000))),
  refused(431, 'a head of a megabyte', get('/', HOST + `X-A: ${'x'.repeat(8000)}\r\n`.repeat(130))),
];

const lengths: Case[] = [
  served('no body', post('Content-Length: 0\r\n')),
  served('a body', post('Content-Length: 3\r\n', 'abc')),
  served('a length with zeros before it', post('Content-Length: 003\r\n', 'abc')),
  served('a body of GET', `GET / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`),
  served('a body of DELETE', `DELETE / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`),
  served('a POST without a length has no body', post('')),
  refused(400, 'a negative length', post('Content-Length: -1\r\n')),
  refused(400, 'a length with a sign', post('Content-Length: +3\r\n', 'abc')),
  refused(400, 'a length in hexadecimal', post('Content-Length: 0x3\r\n', 'abc')),
  refused(400, 'a length with a point', post('Content-Length: 3.0\r\n', 'abc')),
  refused(400, 'a length with an exponent', post('Content-Length: 3e0\r\n', 'abc')),
  refused(400, 'a length with a space', post('Content-Length: 1 2\r\n', 'abc')),
  refused(400, 'a length with an underscore', post('Content-Length: 1_0\r\n', 'x'.repeat(10))),
  refused(400, 'an empty length', post('Content-Length:\r\n')),
  refused(400, 'a list of lengths', post('Content-Length: 3, 3\r\n', 'abc')),
  refused(400, 'two lengths', post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abcd')),
  refused(400, 'two equal lengths', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')),
  refused(400, 'a length beyond 64 bits', post('Content-Length: 99999999999999999999999\r\n')),
  refused(400, 'a length with letters', post('Content-Length: abc\r\n', 'abc')),
  refused(400, "a length with another script's digits", post('Content-Length: \xb2\r\n', 'ab')),
];

const chunked = (body: string, coding = 'chunked') => post(`Transfer-Encoding: ${coding}\r\n`, body);

const codings: Case[] = [
  served('a chunked body', chunked('3\r\nabc\r\n0\r\n\r\n')),
  served('an empty chunked body', chunked('0\r\n\r\n')),
  served('chunk sizes with zeros before them', chunked('0003\r\nabc\r\n000\r\n\r\n')),
  served('chunk sizes in both letter cases', chunked('a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n')),
  served('a chunk extension', chunked('3;name=value\r\nabc\r\n0\r\n\r\n')),
  served('a quoted chunk extension', chunked('3;name="a value"\r\nabc\r\n0\r\n\r\n')),
  served('a trailer', chunked('3\r\nabc\r\n0\r\nX-Trailer: a\r\n\r\n')),
  served('Chunked in capitals', chunked('3\r\nabc\r\n0\r\n\r\n', 'Chunked')),
  refused(
    400,
    'both length and coding',
    post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  refused(
    400,
    'both coding and length',
    post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n'),
  ),
  refused(
    400,
    'chunked in HTTP/1.0',
    `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),
  refused(400, 'chunked twice', chunked('0\r\n\r\n', 'chunked, chunked')),
  refused(
    400,
    'two Transfer-Encodings',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  refused(501, 'gzip before chunked', chunked('0\r\n\r\n', 'gzip, chunked')),
  refused(400, 'chunked before gzip', chunked('0\r\n\r\n', 'chunked, gzip')),
  refused(501, 'gzip alone', chunked('', 'gzip')),
  refused(501, 'identity', chunked('', 'identity')),
  refused(501, 'a coding that nobody knows', chunked('', 'xchunked')),
  refused(400, 'an empty coding', chunked('', '')),
  refused(501, 'chunked in quotes', chunked('0\r\n\r\n', '"chunked"')),
  refused(400, 'a vertical tab before chunked', chunked('0\r\n\r\n', '\x0bchunked')),
  refused(501, 'a parameter of chunked', chunked('0\r\n\r\n', 'chunked;q=1')),
  refused(400, 'a chunk size that is no number', chunked('x\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a negative chunk size', chunked('-3\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a chunk size with 0x', chunked('0x3\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a chunk size with a sign', chunked('+3\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a chunk size with an underscore', chunked('0_3\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'an empty chunk size', chunked('\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a space before a chunk size', chunked(' 3\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a space behind a chunk size', chunked('3 \r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a chunk size beyond 64 bits', chunked('fffffffffffffffff\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a chunk longer than its size', chunked('3\r\nabcd\r\n0\r\n\r\n')),
  refused(400, 'a chunk shorter than its size', chunked('4\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a bare LF behind a chunk size', chunked('3\nabc\r\n0\r\n\r\n')),
  refused(400, 'a bare LF behind a chunk', chunked('3\r\nabc\n0\r\n\r\n')),
  refused(400, 'a bare CR in a chunk extension', chunked('3;a\rb\r\nabc\r\n0\r\n\r\n')),
  refused(400, 'a bare LF in a chunk extension', chunked('3;a\nb\r\nabc\r\n0\r\n\r\n')),
  refused(413, 'endless chunk extensions', chunked(`3;${'x'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`)),
  refused(400, 'a trailer with a space before its colon', chunked('0\r\nX-A : a\r\n\r\n')),
  refused(400, 'a trailer that frames', chunked('0\r\nContent-Length: 5\r\n\r\n')),
  refused(400, 'a trailer that routes', chunked('0\r\nHost: other.test\r\n\r\n')),
  refused(400, 'a trailer that frames in chunks', chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n')),
];

const expectations: Case[] = [
  {
    name: 'Expect: 100-continue with its body',
    request: post('Content-Length: 3\r\nExpect: 100-continue\r\n', 'abc'),
    statuses: [100, 200],
    closes: false,
  },
  {
    name: 'Expect: 100-Continue in capitals',
    request: post('Content-Length: 3\r\nExpect: 100-Continue\r\n', 'abc'),
    statuses: [100, 200],
    closes: false,
  },
  {
    name: 'Expect: 100-continue without a body',
    request: get('/', `${HOST}Expect: 100-continue\r\n`),
    statuses: [200],
    closes: true,
  },
  refused(417, 'another expectation', get('/', `${HOST}Expect: the-unexpected\r\n`)),
  refused(417, 'an empty expectation', get('/', `${HOST}Expect: x\r\n`)),
  {
    name: 'an expectation in HTTP/1.0 is ignored',
    request: `POST / HTTP/1.0\r\n${HOST}Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc`,
    statuses: [200],
    closes: true,
  },
  served('Upgrade to what is not served', get('/', `${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n`)),
  served(
    'Upgrade to h2c',
    get(
      '/',
      `${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`,
    ),
  ),
];

const connections: Case[] = [
  {
    name: 'Connection: close',
    request: get('/', `${HOST}Connection: close\r\n`),
    statuses: [200],
    closes: true,
  },
  {
    name: 'Connection: Close in a list',
    request: get('/', `${HOST}Connection: x, Close\r\n`),
    statuses: [200],
    closes: true,
  },
  { name: 'two requests in one packet', request: get('/') + get('/'), statuses: [200, 200], closes: false },
  {
    name: 'a body, then a request',
    request: post('Content-Length: 3\r\n', 'abc') + get('/'),
    statuses: [200, 200],
    closes: false,
  },
  {
    name: 'a chunked body, then a request',
    request: chunked('3\r\nabc\r\n0\r\n\r\n') + get('/'),
    statuses: [200, 200],
    closes: false,
  },
  {
    name: 'an empty line between requests',
    request: `${get('/')}\r\n${get('/')}`,
    statuses: [200, 200],
    closes: false,
  },
  {
    name: 'a request behind Connection: close is not answered',
    request: get('/', `${HOST}Connection: close\r\n`) + get('/'),
    statuses: [200],
    closes: true,
  },
  { name: 'a refused request is the last', request: get('/', '') + get('/'), statuses: [400], closes: true },
  {
    name: 'a request with a malformed Host is the last',
    request: get('/', 'Host: a b\r\n') + get('/'),
    statuses: [400],
    closes: true,
  },
  { name: 'noise behind a request', request: `${get('/')}noise\r\n\r\n`, statuses: [200, 400], closes: true },
  {
    name: 'a body longer than its length',
    request: `${post('Content-Length: 3\r\n', 'abcdef')}\r\n\r\n`,
    statuses: [200, 400],
    closes: true,
  },
  {
    name: 'a smuggled request behind both length and coding',
    request: post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${get('/smuggled')}`),
    statuses: [400],
    closes: true,
  },
];

export const corpus: Readonly<Record<string, readonly Case[]>> = {
  'request line': requestLines,
  method: methods,
  target: targets,
  Host: hosts,
  'header fields': fields,
  'Content-Length': lengths,
  'Transfer-Encoding': codings,
  'Expect and Upgrade': expectations,
  connection: connections,
};
