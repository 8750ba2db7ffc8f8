// Tiny applications named by behaviour; applications.py has the same ones.
const TEXT = [['Content-Type', 'text/plain']];
const latin1 = (text) => Buffer.from(text, 'latin1');

export function hello(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [latin1('Hello, world!\n')];
}

/** The environ's strings, a line each: KEY=VALUE. */
export function showEnviron(environ, startResponse) {
  startResponse('200 OK', TEXT);
  const lines = Object.entries(environ).map(
    ([key, value]) => `${key}=${Array.isArray(value) ? `(${value.join(', ')})` : String(value)}`,
  );
  return [latin1(`${lines.join('\n')}\n`)];
}

export function emptyList(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [];
}

export function emptyText(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return '';
}

export function severalBlocks(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [latin1('one,'), latin1(''), latin1('two,'), latin1('three')];
}

/** Too long for a text, short enough to go from a worker in one piece. */
export function page(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [Buffer.alloc(40_000, 'x')];
}

/** More than goes from a worker in one piece. */
export function largeBlock(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [Buffer.alloc(300_000, 'x')];
}

export function* generator(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  yield latin1('one,');
  yield latin1('two');
}

/** start_response as late as it may be: just before the first block that is not empty. */
export function* lazyStart(_environ, startResponse) {
  yield latin1('');
  startResponse('200 OK', TEXT);
  yield latin1('late');
}

export function writes(_environ, startResponse) {
  const write = startResponse('200 OK', TEXT);
  write(latin1('written,'));
  return [latin1('returned')];
}

export class ClassApplication {
  constructor(environ, startResponse) {
    this.environ = environ;
    this.startResponse = startResponse;
  }

  *[Symbol.iterator]() {
    this.startResponse('200 OK', TEXT);
    yield latin1('from a class');
  }
}
export const classApplication = (environ, startResponse) => new ClassApplication(environ, startResponse);

/** Logs to wsgi.errors when close() is called. */
function closing(environ, blocks, onClose = () => {}) {
  return {
    *[Symbol.iterator]() {
      yield* blocks();
    },
    close() {
      environ['wsgi.errors'].write('closed\n');
      onClose();
    },
  };
}

export function closes(environ, startResponse) {
  startResponse('200 OK', TEXT);
  return closing(environ, function* () {
    yield latin1('closing');
  });
}

export function closeFails(environ, startResponse) {
  startResponse('200 OK', TEXT);
  return closing(
    environ,
    function* () {
      yield latin1('whole');
    },
    () => {
      throw new Error('close failed');
    },
  );
}

export function failsBefore() {
  throw new Error('secret failure');
}

export function failsAfter(environ, startResponse) {
  startResponse('200 OK', TEXT);
  return closing(environ, function* () {
    yield latin1('part');
    throw new Error('secret failure');
  });
}

export function excInfoBefore(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  startResponse('500 Replaced', [...TEXT, ['X-Replaced', 'yes']], new Error('replaced'));
  return [latin1('replaced')];
}

export function* excInfoAfter(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  yield latin1('part');
  startResponse('500 Too Late', TEXT, new Error('too late'));
  yield latin1('never');
}

export function startsTwice(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  startResponse('200 OK', TEXT);
  return [];
}

export function neverStarts() {
  return [latin1('body')];
}

/** Starts the response with the head that the query names, as JSON. */
export function headFromQuery(environ, startResponse) {
  const query = JSON.parse(decodeURIComponent(environ.QUERY_STRING));
  const { status = '200 OK', headers = [], body = ['body'] } = query;
  startResponse(status, headers);
  return body.map(latin1);
}

export function wrongBlock(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [42];
}

export function returnsNothing(_environ, startResponse) {
  startResponse('200 OK', TEXT);
}

/** Declares the length that the query says, sends ten bytes in two blocks. */
export function* declares(environ, startResponse) {
  startResponse('200 OK', [...TEXT, ['Content-Length', environ.QUERY_STRING]]);
  yield latin1('01234');
  yield latin1('56789');
}

export function echo(environ, startResponse) {
  const body = environ['wsgi.input'].read();
  startResponse('200 OK', TEXT);
  return [body];
}

export function countBody(environ, startResponse) {
  let size = 0;
  let sum = 0;
  for (;;) {
    const block = environ['wsgi.input'].read(10_000);
    if (block.length === 0) break;
    size += block.length;
    for (const byte of block) sum = (sum + byte) % 65_521;
  }
  startResponse('200 OK', TEXT);
  return [latin1(`${size} ${sum}`)];
}

export function readsLines(environ, startResponse) {
  const input = environ['wsgi.input'];
  const first = input.readline();
  const part = input.readline(3);
  const two = input.readlines(1);
  const rest = [...input];
  startResponse('200 OK', TEXT);
  return [latin1(JSON.stringify([first, part, ...two, ...rest].map((line) => line.toString('latin1'))))];
}

export function ignoresBody(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [latin1('not read')];
}

export function logs(environ, startResponse) {
  const errors = environ['wsgi.errors'];
  errors.write('first line\nsecond ');
  errors.writelines(['line\n', 'no end']);
  errors.flush();
  startResponse('200 OK', TEXT);
  return [latin1(environ['lido.request_id'])];
}

/** Logs each request that reaches it. */
export function logsTarget(environ, startResponse) {
  environ['wsgi.errors'].write(`reached by ${environ.REQUEST_URI}\n`);
  startResponse('200 OK', TEXT);
  return [];
}

export function statusFromPath(environ, startResponse) {
  startResponse(`${environ.PATH_INFO.slice(1)} Reason Text`, TEXT);
  return [latin1('body')];
}

/** So many bytes as the query says, 64 KiB a block; logs when it is closed. */
export function stream(environ, startResponse) {
  const size = Number(environ.QUERY_STRING);
  startResponse('200 OK', TEXT);
  return closing(environ, function* () {
    const block = Buffer.alloc(65_536, 'x');
    for (let left = size; left > 0; left -= block.length)
      yield block.subarray(0, Math.min(left, block.length));
  });
}

export function misbehaves(environ, startResponse) {
  switch (environ.PATH_INFO) {
    case '/loop':
      for (;;);
    case '/sleep':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(environ.QUERY_STRING) * 1000);
      break;
    case '/exit':
      process.exit(7);
      break;
    case '/uncaught':
      setImmediate(() => {
        throw new Error('uncaught failure');
      });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      break;
    case '/recurse':
      (function recurse() {
        recurse();
      })();
      break;
    case '/endless': {
      const length = environ.QUERY_STRING;
      startResponse('200 OK', length === '' ? TEXT : [...TEXT, ['Content-Length', length]]);
      return endless();
    }
  }
  return hello(environ, startResponse);
}

function* endless() {
  for (;;) yield Buffer.from('ab');
}

/** When the application began and ended, as JSON; it blocks its thread for half a second. */
export function span(_environ, startResponse) {
  const began = Date.now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  startResponse('200 OK', TEXT);
  return [latin1(JSON.stringify([began, Date.now()]))];
}

// ---- Only in JavaScript --------------------------------------------------------------------------------

export async function promised(_environ, startResponse) {
  await new Promise((resolve) => setImmediate(resolve));
  startResponse('200 OK', TEXT);
  return ['promised'];
}

export async function* asynchronous(environ, startResponse) {
  let size = 0;
  for await (const chunk of environ['wsgi.input']) size += chunk.length;
  startResponse('200 OK', TEXT);
  yield 'async ';
  await new Promise((resolve) => setImmediate(resolve));
  yield String(size);
}

export async function rejects() {
  throw new Error('rejected');
}

export function text(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return ['gr\u00fc\u00df dich \u{1f3ca}'];
}

/** Early hints: two heads of them; what QUERY_STRING names goes wrong; one behind the head. */
export function* hints(environ, startResponse) {
  const give = environ['wsgi.early_hints'];
  if (environ.QUERY_STRING === 'split') give([['Link', '</x.css>\r\nX-Evil: 1']]);
  if (environ.QUERY_STRING === 'length') give([['Content-Length', '3']]);
  if (environ.QUERY_STRING === 'endless') for (;;) give([['Link', '</style.css>; rel=preload']]);
  give([
    ['Link', '</style.css>; rel=preload'],
    ['Link', '</code.js>; rel=preload'],
  ]);
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  give([['Link', '</late.css>; rel=preload']]);
  yield 'whole';
  give([['Link', '</too-late.css>']]);
  yield '!';
}

export const site = { app: hello };
export function createApp(name) {
  return (_environ, startResponse) => {
    startResponse('200 OK', TEXT);
    return [latin1(`made with ${name}`)];
  };
}
