// lido/validator by itself, and every kind of application under --validate in both languages.
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { ProtocolError, validator } from '../dist/middleware/validator.js';
import type { Application, Environ, StartResponse } from '../dist/src/contract/wsgi.js';
import { makeFolder } from './support/command.js';
import { exchange } from './support/raw-client.js';
import {
  fixture,
  type Language,
  languages,
  type RunningServer,
  root,
  startServer,
  venv,
} from './support/server.js';

const KINDS = [
  'list',
  'callable',
  'classed',
  'generator',
  'tuple',
  'iterator',
  'closing',
  'writing',
  'lazy',
  'replacing',
  'emptyBody',
  'emptyBlocks',
  'file',
  'fileLike',
  'echoing',
];
const ASYNCHRONOUS = ['promise', 'asynchronous'];
const REQUESTS: Record<string, string> = {
  GET: '',
  HEAD: '',
  'POST with length': 'Content-Length: 4\r\n\r\nbody',
  'POST chunked': 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
  PUT: 'Content-Length: 4\r\n\r\nbody',
  DELETE: '',
  OPTIONS: '',
  PROPFIND: '',
};

function serve(language: Language): Promise<RunningServer> {
  const file = language === 'javascript' ? 'kinds.mjs' : 'kinds.py';
  return startServer({ application: `${root}test/apps/${file}:application`, python: venv, validate: true });
}

describe.each(languages)('under --validate, %s applications', (language) => {
  it('of every kind answer every method without a complaint', async () => {
    const { port, lines } = await serve(language);
    const kinds = language === 'javascript' ? [...KINDS, ...ASYNCHRONOUS] : KINDS;
    for (const kind of kinds) {
      for (const [request, rest] of Object.entries(REQUESTS)) {
        const [method = ''] = request.split(' ');
        const raw = `${method} /${kind} HTTP/1.1\r\nHost: a\r\n${rest === '' ? '\r\n' : rest}`;
        const { status, body } = await exchange(port, raw, method);
        const expected = kind === 'emptyBody' ? [204, ''] : [200, method === 'HEAD' ? '' : 'body'];
        expect([kind, request, status, body.toString()]).toEqual([kind, request, ...expected]);
      }
    }
    const complaints = lines.filter(({ level }) => level >= 40).map(({ msg }) => msg);
    expect(complaints).toEqual(Object.keys(REQUESTS).map(() => 'closed'));
  });
});

describe.each(languages)('under --validate, %s environs', (language) => {
  it('keep the rules for every form of a target', async () => {
    const { port } = await startServer({ ...fixture(language, 'showEnviron'), validate: true });
    for (const line of ['GET http://a', 'GET http://a?q', 'OPTIONS *', 'GET //', 'GET /?', 'GET /%']) {
      const { status } = await exchange(port, `${line} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect([line, status]).toEqual([line, 200]);
    }
  });
});

describe('under --validate, an application that breaks a rule', () => {
  it.each([
    ['javascript', 'export const application = (_e, start) => { start("200 OK", []); return ["x"]; };'],
    ['python', 'def application(e, start):\n    start("200 OK", [])\n    return [b"x"]\n'],
  ] as const)('is told so in %s', async (language, source) => {
    const name = language === 'javascript' ? 'untyped.mjs' : 'untyped.py';
    const application = `${makeFolder({ [name]: source })}/${name}:application`;
    const { port, lines } = await startServer({ application, python: venv, validate: true });
    expect((await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).status).toBe(500);
    expect(lines.find(({ level }) => level >= 50)?.traceback).toContain('Content-Type');
  });
});

const input = {
  read: (_size?: number) => Buffer.alloc(0),
  readline: (_size?: number) => Buffer.alloc(0),
  readlines: (_hint?: number): Buffer[] => [],
  *[Symbol.iterator]() {},
  async *[Symbol.asyncIterator]() {},
};

function createEnviron(changes: Record<string, unknown> = {}): Environ {
  return {
    REQUEST_METHOD: 'GET',
    SCRIPT_NAME: '',
    PATH_INFO: '/',
    SERVER_NAME: 'localhost',
    SERVER_PORT: '80',
    SERVER_PROTOCOL: 'HTTP/1.1',
    'wsgi.version': [1, 0],
    'wsgi.url_scheme': 'http',
    'wsgi.input': input,
    'wsgi.errors': { write() {}, writelines() {}, flush() {} },
    'wsgi.multithread': true,
    'wsgi.multiprocess': false,
    'wsgi.run_once': false,
    ...changes,
  } as unknown as Environ;
}

const startResponse: StartResponse = () => () => {};
const TEXT = [['Content-Type', 'text/plain']] as const;
const fine: Application = (_environ, start) => {
  start('200 OK', TEXT);
  return ['body'];
};

/** Serves one request as a correct server does. */
async function run(application: unknown, environ = createEnviron()): Promise<void> {
  const result = await validator(application as Application)(environ, startResponse);
  const body = result as AsyncIterable<unknown> & { close?(): void };
  try {
    for await (const _block of body);
  } finally {
    body.close?.();
  }
}

const circular: unknown[] = [];
circular.push(circular);

type Start = (...args: unknown[]) => (...args: unknown[]) => void;
const starting =
  (...args: unknown[]) =>
  (_environ: Environ, start: Start) => {
    start(...args);
    return [];
  };

describe('the validator', () => {
  it('lets what is right pass, and hands on every block', async () => {
    const blocks: unknown[] = [];
    for await (const block of (await validator(fine)(createEnviron(), startResponse)) as Iterable<unknown>)
      blocks.push(block);
    expect(blocks).toEqual(['body']);
  });

  it.each<[what: string, application: unknown, message: string]>([
    ['one argument', starting('200 OK'), 'called startResponse with 1 arguments'],
    ['a status without a reason', starting('200', TEXT), 'gave the status "200"'],
    ['a status that is a number', starting(200, TEXT), 'gave the status 200'],
    ['a status that has no JSON', starting(200n, TEXT), 'gave the status 200n'],
    ['a header in itself', starting('200 OK', [circular]), 'gave the header a Array'],
    ['a status of 1xx', starting('100 Continue', TEXT), 'gave the status "100 Continue"'],
    ['headers in an object', starting('200 OK', {}), 'for headers'],
    ['a header of three', starting('200 OK', [['a', 'b', 'c']]), 'gave the header ["a","b","c"]'],
    ['a header name with a colon', starting('200 OK', [['a:', 'b']]), 'a header name is a token'],
    ['a header value that is a number', starting('200 OK', [['a', 1]]), 'String(value)'],
    ['a header value with a line end', starting('200 OK', [['a', 'b\r\nc: d']]), 'no control characters'],
    ['a header value beyond latin-1', starting('200 OK', [['a', '\u20ac']]), 'none above U+00FF'],
    ['a Status header', starting('200 OK', [['Status', '200']]), 'gave a Status header'],
    ['a hop-by-hop header', starting('200 OK', [['Connection', 'close']]), 'hop-by-hop header Connection'],
    ['no Content-Type', starting('200 OK', []), 'gave no Content-Type'],
    ['a Content-Type with 204', starting('204 No Content', TEXT), 'gave a Content-Type with 204'],
    ['two lengths', starting('200 OK', [...TEXT, ['Content-Length', '1'], ['Content-Length', '1']]), '1, 1'],
    ['a negative length', starting('200 OK', [...TEXT, ['Content-Length', '-1']]), 'in decimal digits'],
    [
      'a length that is not reached',
      starting('200 OK', [...TEXT, ['Content-Length', '5']]),
      '0 bytes of its Content-Length of 5',
    ],
    [
      'a second start',
      (_e: Environ, start: Start) => {
        start('200 OK', TEXT);
        start('200 OK', TEXT);
        return [];
      },
      'a second time',
    ],
    ['no start', () => [], 'never called startResponse'],
    ['a block before the start', () => ['x'], 'before it called startResponse'],
    [
      'a block that is a number',
      (_e: Environ, start: Start) => {
        start('200 OK', TEXT);
        return [1];
      },
      'sent 1 for a block',
    ],
    [
      'a body with 304',
      (_e: Environ, start: Start) => {
        start('304 Not Modified', []);
        return ['x'];
      },
      'sent a body with 304',
    ],
    [
      'a body past its length',
      (_e: Environ, start: Start) => {
        start('200 OK', [...TEXT, ['Content-Length', '1']]);
        return ['xy'];
      },
      'more than its Content-Length',
    ],
    [
      'a string for a result',
      (_e: Environ, start: Start) => {
        start('200 OK', TEXT);
        return 'body';
      },
      'put it into an array',
    ],
    [
      'nothing for a result',
      (_e: Environ, start: Start) => {
        start('200 OK', TEXT);
      },
      'returned undefined',
    ],
    [
      'a promise of bytes',
      async (_e: Environ, start: Start) => {
        start('200 OK', TEXT);
        return Buffer.alloc(1);
      },
      'put it into an array',
    ],
    [
      'two arguments to write',
      (_e: Environ, start: Start) => {
        start('200 OK', TEXT)('a', 'b');
        return [];
      },
      'called write with 2 arguments',
    ],
    [
      'a size that is text',
      (e: Environ) => {
        e['wsgi.input'].read('1' as never);
        return [];
      },
      'called read(1) of wsgi.input',
    ],
    [
      'an object in the log',
      (e: Environ) => {
        e['wsgi.errors'].write({} as never);
        return [];
      },
      'to wsgi.errors',
    ],
  ])('blames the application for %s', async (_what, application, message) => {
    await expect(run(application)).rejects.toMatchObject({ name: 'ProtocolError', party: 'application' });
    await expect(run(application)).rejects.toThrow(message);
  });

  it.each<[what: string, changes: Record<string, unknown>, message: string]>([
    ['HTTP_CONTENT_TYPE', { HTTP_CONTENT_TYPE: 'a/b' }, 'name it CONTENT_TYPE'],
    ['a number', { SERVER_PORT: 80 }, 'set SERVER_PORT to 80'],
    ['an empty port', { SERVER_PORT: '' }, 'left SERVER_PORT empty'],
    ['text that is not bytes', { PATH_INFO: '/\u20ac' }, 'no character above U+00FF'],
    ['another version', { 'wsgi.version': [2, 0] }, 'set wsgi.version'],
    ['another scheme', { 'wsgi.url_scheme': 'ftp' }, 'set wsgi.url_scheme'],
    ['a slash for SCRIPT_NAME', { SCRIPT_NAME: '/' }, 'set SCRIPT_NAME to "/"'],
    ['a SCRIPT_NAME without slash', { SCRIPT_NAME: 'a' }, 'starts with a slash'],
    ['a PATH_INFO without slash', { PATH_INFO: 'a' }, 'set PATH_INFO to "a"'],
    ['a method that is no token', { REQUEST_METHOD: 'GE T' }, 'a method is a token'],
    ['a length in words', { CONTENT_LENGTH: 'ten' }, 'set CONTENT_LENGTH'],
    ['an input that cannot read', { 'wsgi.input': {} }, 'wsgi.input without read'],
    ['no input', { 'wsgi.input': undefined }, 'wsgi.input without read'],
    ['errors that cannot be written', { 'wsgi.errors': {} }, 'wsgi.errors without write'],
    ['an input of text', { 'wsgi.input': { ...input, read: () => 'text' } }, 'gave text from read'],
    [
      'an input that gives too much',
      { 'wsgi.input': { ...input, read: () => Buffer.alloc(9) } },
      '9 bytes to read(1)',
    ],
  ])('blames the server for %s', async (_what, changes, message) => {
    const reading: Application = (environ, start) => {
      environ['wsgi.input'].read(1);
      start('200 OK', TEXT);
      return [];
    };
    await expect(run(reading, createEnviron(changes))).rejects.toMatchObject({ party: 'server' });
    await expect(run(reading, createEnviron(changes))).rejects.toThrow(message);
  });

  it('blames the server for what it does with the body', () => {
    const serve = () =>
      validator(fine)(createEnviron(), startResponse) as Iterable<unknown> & { close(): void };
    const twice = serve();
    expect([...twice]).toHaveLength(1);
    expect(() => [...twice]).toThrow('went through the body a second time');
    twice.close();
    expect(() => twice.close()).toThrow('called close() a second time');
    const closed = serve();
    closed.close();
    expect(() => [...closed]).toThrow('asked for a block after close()');
  });

  it('tells the log of a body that the server forgets to close', async () => {
    const log: string[] = [];
    const errors = { write: (text: string) => log.push(text), writelines() {}, flush() {} };
    const forget = (): void => {
      validator(fine)(createEnviron({ 'wsgi.errors': errors }), startResponse);
    };
    const closing = validator(fine)(createEnviron({ 'wsgi.errors': errors }), startResponse);
    (closing as unknown as { close(): void }).close();
    forget();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    while (log.length === 0) {
      collect();
      await setImmediate();
    }
    expect(log.join('')).toMatch(/^the server never closed the body: .*"Specification Details"\)\n$/);
  });

  it('blames the server for its own calls', () => {
    const call = validator(fine) as (...args: unknown[]) => unknown;
    expect(() => call(createEnviron())).toThrow('called the application with 1 arguments');
    expect(() => call(null, startResponse)).toThrow('passed null for environ');
    expect(() => call(createEnviron(), null)).toThrow('passed null for startResponse');
    expect(() => call(createEnviron(), () => null)).toThrow('returned null from startResponse');
    const { SERVER_NAME: _, ...rest } = createEnviron();
    expect(() => call(rest, startResponse)).toThrow(ProtocolError);
  });

  it('blames the application for what it does after its request', () => {
    let late: { environ: Environ; start: StartResponse; write: (block: string) => void } | undefined;
    const keeping: Application = (environ, start) => {
      late = { environ, start, write: start('200 OK', TEXT) };
      return [];
    };
    const body = validator(keeping)(createEnviron(), startResponse) as Iterable<unknown> & { close(): void };
    expect([...body]).toEqual([]);
    body.close();
    expect(() => late?.write('x')).toThrow('called write after its request');
    expect(() => late?.environ['wsgi.input'].read()).toThrow('used wsgi.input after its request');
    expect(() => late?.start('200 OK', TEXT, new Error('late'))).toThrow(
      'called startResponse after its request',
    );
  });
});
