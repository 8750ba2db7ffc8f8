// PEP 3333 as a client sees it, in both languages.
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, type Language, languages, startServer, venv } from './support/server.js';

/** Their close() waits for a file. */
const slowClose: Record<Language, string> = {
  javascript: `
    import { existsSync } from 'node:fs';
    export function application({ QUERY_STRING: path }, startResponse) {
      startResponse('200 OK', []);
      const blocks = ['one,', 'two'].values();
      const close = () => { while (!existsSync(path)); };
      return { [Symbol.iterator]: () => blocks, close };
    }`,
  python: `
import os, time

class application:
    def __init__(self, environ, start_response):
        self.path = environ['QUERY_STRING']
        start_response('200 OK', [])
    def __iter__(self):
        return iter((b'one,', b'two'))
    def close(self):
        while not os.path.exists(self.path):
            time.sleep(0.01)
`,
};

describe.each(languages)('a %s application', (language) => {
  const serve = (name: string, settings = {}) => startServer({ ...fixture(language, name), ...settings });

  test.each([
    ['hello', 'Hello, world!\n'],
    ['emptyList', ''],
    ['emptyText', ''],
    ['severalBlocks', 'one,two,three'],
    ['generator', 'one,two'],
    ['lazyStart', 'late'],
    ['writes', 'written,returned'],
    ['classApplication', 'from a class'],
    ['closes', 'closing'],
    ['excInfoBefore', 'replaced'],
  ])('%s is answered as it was written', async (name, body) => {
    const { port } = await serve(name);
    const response = await exchange(port, get('/'));
    expect(response.body.toString()).toBe(body);
    expect(response.headers['content-type']).toBe('text/plain');
    expect(response.status).toBe(name === 'excInfoBefore' ? 500 : 200);
  });

  test('a body of one block gets a Content-Length, several are sent in chunks', async () => {
    const one = await serve('hello');
    expect(await exchange(one.port, get('/'))).toMatchObject({
      framing: 'length',
      headers: { 'content-length': '14' },
    });
    for (const [name, length] of [
      ['page', 40_000],
      ['largeBlock', 300_000],
    ] as const) {
      const { port } = await serve(name);
      const whole = await exchange(port, get('/'));
      expect([whole.headers['content-length'], whole.body.length]).toEqual([String(length), length]);
      const head = await exchange(port, get('/', '', 'HEAD'), 'HEAD');
      expect([head.headers['content-length'], head.body.length]).toEqual([String(length), 0]);
    }
    const three = await serve('severalBlocks');
    const response = await exchange(three.port, get('/'));
    expect(response.framing).toBe('chunked');
    // Node may put blocks of one turn into one chunk.
    expect(Buffer.concat(response.chunks).toString()).toBe('one,two,three');
  });

  test('the environ holds what PEP 3333 names', async () => {
    const { port } = await serve('showEnviron');
    const request = `POST /a%20b/../c//d%2Fe?x=1&y=%20 HTTP/1.1\r\nHost: example.test:81\r\nX-Twice: 1\r\nx-twice: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX_Under: no\r\nContent-Type: text/x\r\nContent-Length: 3\r\n\r\nabc`;
    const { body } = await exchange(port, request);
    const lines = new Map(
      body
        .toString('latin1')
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const truth = language === 'python' ? 'True' : 'true';
    const falsehood = language === 'python' ? 'False' : 'false';
    expect(Object.fromEntries(lines)).toMatchObject({
      REQUEST_METHOD: 'POST',
      SCRIPT_NAME: '',
      PATH_INFO: '/a b/../c//d/e',
      QUERY_STRING: 'x=1&y=%20',
      REQUEST_URI: '/a%20b/../c//d%2Fe?x=1&y=%20',
      RAW_URI: '/a%20b/../c//d%2Fe?x=1&y=%20',
      SERVER_NAME: '127.0.0.1',
      SERVER_PORT: String(port),
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_SOFTWARE: 'lido/0.1.0',
      REMOTE_ADDR: '127.0.0.1',
      REMOTE_HOST: '127.0.0.1',
      CONTENT_TYPE: 'text/x',
      CONTENT_LENGTH: '3',
      HTTP_HOST: 'example.test:81',
      HTTP_X_TWICE: '1,2',
      HTTP_COOKIE: 'a=1; b=2',
      'wsgi.version': '(1, 0)',
      'wsgi.url_scheme': 'http',
      'wsgi.multithread': truth,
      'wsgi.multiprocess': falsehood,
      'wsgi.run_once': falsehood,
      'wsgi.input_terminated': truth,
    });
    expect(lines.get('REMOTE_PORT')).toMatch(/^\d+$/);
    for (const key of ['wsgi.input', 'wsgi.errors', 'wsgi.file_wrapper']) expect(lines.has(key)).toBe(true);
    for (const key of ['HTTP_X_UNDER', 'HTTP_CONTENT_TYPE', 'HTTP_CONTENT_LENGTH'])
      expect(lines.has(key)).toBe(false);
  });

  test('bytes of the path reach the application as latin-1 characters', async () => {
    const { port } = await serve('showEnviron');
    const { body } = await exchange(port, get('/gr%C3%BC%C3%9F'));
    expect(body.toString('utf8')).toContain('PATH_INFO=/gr\u00fc\u00df\n');
  });

  test('HEAD has the head of GET and no body', async () => {
    const { port } = await serve('hello');
    const client = new RawClient(port);
    client.send(get('/', '', 'HEAD') + get('/'));
    expect(await client.readResponse({ method: 'HEAD' })).toMatchObject({
      status: 200,
      headers: { 'content-length': '14' },
    });
    expect((await client.readResponse()).body.toString()).toBe('Hello, world!\n');
  });

  test.each([204, 304])('a %i has no body, and the connection goes on', async (status) => {
    const { port } = await serve('statusFromPath');
    const client = new RawClient(port);
    client.send(get(`/${status}`) + get('/200'));
    const first = await client.readResponse();
    expect(first).toMatchObject({ status, reason: 'Reason Text', framing: 'none' });
    expect(first.headers['content-length']).toBeUndefined();
    expect(await client.readResponse()).toMatchObject({ status: 200, reason: 'Reason Text' });
  });

  test('wsgi.input reads lines, parts and the rest', async () => {
    const { port } = await serve('readsLines');
    const text = 'first\nsecond\nthird\nfourth\nno end';
    const response = await exchange(port, get('/', `Content-Length: ${text.length}\r\n`, 'POST') + text);
    expect(JSON.parse(response.body.toString())).toEqual([
      'first\n',
      'sec',
      'ond\n',
      'third\n',
      'fourth\n',
      'no end',
    ]);
  });

  test('wsgi.input reads lines across the chunks of a chunked body', async () => {
    const { port } = await serve('readsLines');
    const line = `${'x'.repeat(70_000)}\n`;
    const chunks = ['fir', 'st\nsec', 'ond\nthi', `rd\n${line}`, 'end']
      .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
      .join('');
    const response = await exchange(
      port,
      `${get('/', 'Transfer-Encoding: chunked\r\n', 'POST')}${chunks}0\r\n\r\n`,
    );
    expect(JSON.parse(response.body.toString())).toEqual(['first\n', 'sec', 'ond\n', 'third\n', line, 'end']);
  });

  test.each([0, 1, 65_535, 65_536, 65_537, 3_000_000])(
    'a body of %i bytes arrives whole, with a length and in chunks',
    async (size) => {
      const { port } = await serve('countBody');
      const body = Buffer.alloc(size, 'abc');
      const expected = `${size} ${body.reduce((sum, byte) => (sum + byte) % 65_521, 0)}`;
      const head = get('/', `Content-Length: ${size}\r\n`, 'POST');
      const plain = await exchange(port, Buffer.concat([Buffer.from(head), body]));
      expect(plain.body.toString()).toBe(expected);
      const pieces =
        size === 0
          ? []
          : [body.subarray(0, Math.ceil(size / 2)), body.subarray(Math.ceil(size / 2))].filter(
              (piece) => piece.length > 0,
            );
      const chunked = pieces.flatMap((piece) => [
        Buffer.from(`${piece.length.toString(16)}\r\n`),
        piece,
        Buffer.from('\r\n'),
      ]);
      const chunkedHead = Buffer.from(get('/', 'Transfer-Encoding: chunked\r\n', 'POST'));
      const inChunks = await exchange(
        port,
        Buffer.concat([chunkedHead, ...chunked, Buffer.from('0\r\n\r\n')]),
      );
      expect(inChunks.body.toString()).toBe(expected);
    },
  );

  test.each([
    ['abc', '3\r\nabc\r\n'],
    ['', ''],
  ])(
    'a small chunked body, %j, comes with its length in place of the coding that Lido took off',
    async (content, chunks) => {
      const { port } = await serve('showEnviron');
      const head = get('/', 'Transfer-Encoding: chunked\r\n', 'POST');
      const environ = (await exchange(port, `${head}${chunks}0\r\n\r\n`)).body.toString();
      expect(environ).toContain(`CONTENT_LENGTH=${content.length}\n`);
      expect(environ).not.toContain('HTTP_TRANSFER_ENCODING');
    },
  );

  test.each([true, false])('100 Continue is sent, the body taken in first: %s', async (requestBuffering) => {
    const { port } = await serve('echo', { requestBuffering });
    const client = new RawClient(port);
    client.send(get('/', 'Content-Length: 3\r\nExpect: 100-continue\r\n', 'POST'));
    expect(await client.readResponse({ informational: true })).toMatchObject({ status: 100 });
    client.send('abc');
    expect((await client.readResponse()).body.toString()).toBe('abc');
  });

  test('100 Continue is not sent to a body that nobody takes in and nobody reads, and the connection ends', async () => {
    const { port } = await serve('ignoresBody', { requestBuffering: false });
    const client = new RawClient(port);
    client.send(get('/', 'Content-Length: 3\r\nExpect: 100-continue\r\n', 'POST'));
    const answer = await client.readResponse({ informational: true });
    expect(answer).toMatchObject({ status: 200, headers: { connection: 'close' } });
    expect(await client.closes()).toBe(true);
  });

  test('a body that is not read never becomes the next request', async () => {
    const { port } = await serve('ignoresBody');
    const client = new RawClient(port);
    const smuggled = get('/smuggled');
    client.send(get('/', `Content-Length: ${smuggled.length}\r\n`, 'POST') + smuggled + get('/next'));
    expect((await client.readResponse()).body.toString()).toBe('not read');
    expect((await client.readResponse()).body.toString()).toBe('not read');
    client.send(get('/last', 'Connection: close\r\n'));
    expect((await client.readResponse()).body.toString()).toBe('not read');
    expect(await client.closes()).toBe(true);
  });

  test('lines of wsgi.errors are in the log beside their request', async () => {
    const { port, findLine } = await serve('logs');
    const requestId = (await exchange(port, get('/'))).body.toString();
    for (const text of ['first line', 'second line', 'no end']) {
      expect(await findLine(({ msg }) => msg === text)).toMatchObject({ requestId });
    }
  });

  test('an error before the head is a 500 that keeps the traceback to the log', async () => {
    const { port, findLine } = await serve('failsBefore');
    const plain = await exchange(port, get('/'));
    expect(plain).toMatchObject({ status: 500, headers: { 'content-type': 'text/plain; charset=utf-8' } });
    expect(plain.body.toString()).toBe('500 Internal Server Error\n');
    const html = await exchange(port, get('/', 'Accept: text/html,*/*;q=0.8\r\n'));
    expect(html.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(html.body.toString()).not.toContain('secret');
    const line = await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED');
    expect(line.traceback).toContain('secret failure');
    expect(line.requestId).toMatch(/^[0-9a-f]{8}-\w+$/);
  });

  test('with debug the client sees the traceback', async () => {
    const { port } = await serve('failsBefore', { debug: true });
    const { body } = await exchange(port, get('/'));
    expect(body.toString()).toContain('secret failure');
    expect(body.toString()).toContain(language === 'python' ? 'applications.py' : 'applications.mjs');
  });

  test('an error after the head aborts the connection, and close() is called', async () => {
    const { port, findLine } = await serve('failsAfter');
    const client = new RawClient(port);
    client.send(get('/'));
    await expect(client.readResponse()).rejects.toThrow('the connection ended');
    await findLine(({ msg }) => msg === 'closed');
    expect((await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED')).traceback).toContain(
      'secret failure',
    );
  });

  test('exc_info after the head is raised again, and aborts the connection', async () => {
    const { port, findLine } = await serve('excInfoAfter');
    const client = new RawClient(port);
    client.send(get('/'));
    await expect(client.readResponse()).rejects.toThrow('the connection ended');
    expect((await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED')).msg).toContain('too late');
  });

  test('a close() that takes its time keeps no client waiting for the end of the body', async () => {
    const file = language === 'javascript' ? 'slow_close.mjs' : 'slow_close.py';
    const folder = makeFolder({ [file]: slowClose[language] });
    const application = `${folder}/${file}:application`;
    const { port, server } = await startServer({ application, python: venv, threads: 1 });
    const { body, framing } = await exchange(port, get(`/?${folder}/go`));
    expect([body.toString(), framing]).toEqual(['one,two', 'chunked']);
    expect(server.stats()[0]?.busy).toBe(1);
    writeFileSync(`${folder}/go`, '');
    expect((await exchange(port, get(`/?${folder}/go`))).status).toBe(200);
  });

  test('a close() that fails takes nothing from a response that is whole', async () => {
    const { port, findLine } = await serve('closeFails');
    expect((await exchange(port, get('/'))).body.toString()).toBe('whole');
    await findLine(({ msg }) => msg.includes('close failed'));
  });

  test.each([
    ['startsTwice', 'LIDO_RESPONSE_STARTED_TWICE'],
    ['neverStarts', 'LIDO_RESPONSE_NOT_STARTED'],
    ['wrongBlock', 'LIDO_BLOCK_NOT_BYTES'],
    ['returnsNothing', 'LIDO_RESULT_NOT_ITERABLE'],
  ])('%s is a 500 that the log explains with %s', async (name, code) => {
    const { port, findLine } = await serve(name);
    expect((await exchange(port, get('/'))).status).toBe(500);
    await findLine((line) => line.code === code);
  });

  const heads: [string, { status?: string; headers?: unknown[] }, string][] = [
    ['a status without a reason', { status: '200' }, 'LIDO_MALFORMED_STATUS'],
    ['an empty reason', { status: '200 ' }, 'LIDO_MALFORMED_STATUS'],
    ['a status that is no number', { status: 'OK 200' }, 'LIDO_MALFORMED_STATUS'],
    ['an informational status', { status: '100 Continue' }, 'LIDO_MALFORMED_STATUS'],
    ['a line break in the status', { status: '200 OK\r\nX-Injected: 1' }, 'LIDO_MALFORMED_STATUS'],
    ['a line break in a value', { headers: [['X-A', 'a\r\nX-Injected: 1']] }, 'LIDO_MALFORMED_HEADER'],
    ['a NUL in a value', { headers: [['X-A', 'a\u0000b']] }, 'LIDO_MALFORMED_HEADER'],
    ['a value beyond latin-1', { headers: [['X-A', '\u20ac']] }, 'LIDO_MALFORMED_HEADER'],
    ['a space in a name', { headers: [['X A', 'a']] }, 'LIDO_MALFORMED_HEADER'],
    ['an empty name', { headers: [['', 'a']] }, 'LIDO_MALFORMED_HEADER'],
    ['a value that is no text', { headers: [['X-A', 1]] }, 'LIDO_MALFORMED_HEADER'],
    ['a header that is no pair', { headers: [['X-A']] }, 'LIDO_MALFORMED_HEADER'],
    ['Connection', { headers: [['Connection', 'close']] }, 'LIDO_HOP_BY_HOP_HEADER'],
    ['Transfer-Encoding', { headers: [['transfer-encoding', 'chunked']] }, 'LIDO_HOP_BY_HOP_HEADER'],
    ['a negative length', { headers: [['Content-Length', '-1']] }, 'LIDO_MALFORMED_CONTENT_LENGTH'],
    ['an endless length', { headers: [['Content-Length', '9'.repeat(16)]] }, 'LIDO_MALFORMED_CONTENT_LENGTH'],
    [
      'two lengths',
      {
        headers: [
          ['Content-Length', '4'],
          ['content-length', '4'],
        ],
      },
      'LIDO_MALFORMED_CONTENT_LENGTH',
    ],
  ];
  test('heads that break the rules are 500s that name the rule', async () => {
    const { port, lines } = await serve('headFromQuery');
    for (const [what, head, code] of heads) {
      const seen = lines.length;
      const client = new RawClient(port);
      client.send(get(`/?${encodeURIComponent(JSON.stringify(head))}`, 'Connection: close\r\n'));
      const answer = await client.readAll();
      expect(answer, what).toMatch(/^HTTP\/1\.1 500 /);
      expect(answer, what).not.toContain('Injected');
      expect(
        lines.slice(seen).map((line) => line.code),
        what,
      ).toContain(code);
    }
  });

  test('repeated headers, odd but legal values and letter case reach the client as they are', async () => {
    const { port } = await serve('headFromQuery');
    const headers = [
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
      ['x-LATIN', '\u00e9'],
      ['X-Empty', ''],
    ];
    const response = await exchange(
      port,
      get(`/?${encodeURIComponent(JSON.stringify({ status: '299 Odd But Legal', headers }))}`),
    );
    expect(response).toMatchObject({ status: 299, reason: 'Odd But Legal' });
    expect(response.rawHeaders.slice(0, 4)).toEqual(headers);
  });

  test('a body longer than its Content-Length is cut off and logged', async () => {
    const { port, findLine } = await serve('declares');
    const client = new RawClient(port);
    client.send(get('/?7'));
    expect((await client.readResponse()).body.toString()).toBe('0123456');
    await findLine(({ msg }) => msg.includes('LIDO_BODY_TOO_LONG'));
    client.send(get('/?10'));
    expect((await client.readResponse()).body.toString()).toBe('0123456789');
  });

  test('a body shorter than its Content-Length aborts the connection', async () => {
    const { port, findLine } = await serve('declares');
    const client = new RawClient(port);
    client.send(get('/?11'));
    await expect(client.readResponse()).rejects.toThrow('the connection ended after 10 of 11 bytes');
    await findLine(({ code }) => code === 'LIDO_BODY_TOO_SHORT');
  });

  test('pipelined requests are answered in their order', async () => {
    const { port } = await serve('showEnviron', { threads: language === 'javascript' ? 2 : 1 });
    const client = new RawClient(port);
    const paths = Array.from({ length: 20 }, (_, index) => `/number-${index}`);
    client.send(paths.map((path) => get(path)).join(''));
    for (const path of paths)
      expect((await client.readResponse()).body.toString()).toContain(`PATH_INFO=${path}\n`);
  });

  test('HTTP/1.0 gets no chunks, and the end of the connection as the end of the body', async () => {
    const { port } = await serve('generator');
    const client = new RawClient(port);
    client.send('GET / HTTP/1.0\r\n\r\n');
    expect(await client.readResponse()).toMatchObject({ framing: 'close', body: Buffer.from('one,two') });
  });

  test('HTTP/1.0 with keep-alive keeps the connection where the length is known', async () => {
    const { port } = await serve('hello');
    const client = new RawClient(port);
    for (let count = 0; count < 2; count += 1) {
      client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      expect(await client.readResponse()).toMatchObject({
        framing: 'length',
        headers: { connection: 'keep-alive' },
      });
    }
  });

  test('a large response arrives whole', async () => {
    const { port } = await serve('stream');
    const size = 20_000_001;
    const response = await exchange(port, get(`/?${size}`));
    expect(response.body.length).toBe(size);
    expect(response.body.equals(Buffer.alloc(size, 'x'))).toBe(true);
  });

  test('a client that goes away stops the iteration, and close() is called', async () => {
    const { port, findLine } = await serve('stream');
    const client = new RawClient(port);
    client.send(get('/?100000000000'));
    await client.readUntil('\r\n\r\n');
    client.socket.destroy();
    await findLine(({ msg }) => msg === 'closed');
    expect((await exchange(port, get('/?3'))).body.toString()).toBe('xxx');
  });

  test('a dotted callable and a factory call are found', async () => {
    expect((await exchange((await serve('site.app')).port, get('/'))).body.toString()).toBe(
      'Hello, world!\n',
    );
    expect((await exchange((await serve('createApp("a factory")')).port, get('/'))).body.toString()).toBe(
      'made with a factory',
    );
  });
});

describe('a JavaScript application may also', () => {
  const serve = (name: string, settings = {}) => startServer({ ...fixture('javascript', name), ...settings });

  test('return a promise', async () => {
    const { port } = await serve('promised');
    expect((await exchange(port, get('/'))).body.toString()).toBe('promised');
  });

  test('be an async generator that reads its input without blocking', async () => {
    const { port } = await serve('asynchronous', { concurrency: 4 });
    const body = 'y'.repeat(200_000);
    const head = get('/', `Content-Length: ${body.length}\r\n`, 'POST');
    const answers = await Promise.all(Array.from({ length: 8 }, () => exchange(port, head + body)));
    for (const answer of answers) expect(answer.body.toString()).toBe('async 200000');
  });

  test('reject, which is a 500', async () => {
    const { port, findLine } = await serve('rejects');
    expect((await exchange(port, get('/'))).status).toBe(500);
    expect((await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED')).msg).toContain('rejected');
  });

  test('yield text, which is sent as UTF-8', async () => {
    const { port } = await serve('text');
    expect((await exchange(port, get('/'))).body.toString('utf8')).toBe('gr\u00fc\u00df dich \u{1f3ca}');
  });
});
