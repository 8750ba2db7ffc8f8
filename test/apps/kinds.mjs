// Every kind of application that PEP 3333 knows, and the two that Lido adds; the Python ones beside it have the same names.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const TEXT = [['Content-Type', 'text/plain']];
const FILE = fileURLToPath(new URL('kinds.txt', import.meta.url));

export function list(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return [Buffer.from('body')];
}

export const callable = new (class {
  text = 'body';
  get application() {
    return (_environ, startResponse) => {
      startResponse('200 OK', TEXT);
      return [Buffer.from(this.text)];
    };
  }
})().application;

class Body {
  constructor(startResponse) {
    startResponse('200 OK', TEXT);
  }
  *[Symbol.iterator]() {
    yield Buffer.from('bo');
    yield Buffer.from('dy');
  }
}
export const classed = (_environ, startResponse) => new Body(startResponse);

export function* generator(environ, startResponse) {
  environ['wsgi.input'].read();
  startResponse('200 OK', TEXT);
  yield Buffer.from('bo');
  yield Buffer.from('dy');
}

export function tuple(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return Object.freeze([Buffer.from('bo'), Buffer.from('dy')]);
}

export function iterator(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return ['bo', 'dy'].map((text) => Buffer.from(text)).values();
}

export function closing(environ, startResponse) {
  startResponse('200 OK', TEXT);
  return {
    [Symbol.iterator]: () => [Buffer.from('body')].values(),
    close: () => environ['wsgi.errors'].write('closed\n'),
  };
}

export function writing(_environ, startResponse) {
  const write = startResponse('200 OK', TEXT);
  write(Buffer.from('bo'));
  write(Buffer.from('dy'));
  return [];
}

export function* lazy(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  yield Buffer.from('');
  yield Buffer.from('body');
}

export function replacing(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  startResponse('200 Better', TEXT, new Error('replaced'));
  return [Buffer.from('body')];
}

export function emptyBody(_environ, startResponse) {
  startResponse('204 No Content', []);
  return [];
}

export function emptyBlocks(_environ, startResponse) {
  startResponse('200 OK', TEXT);
  return ['', 'bo', '', 'dy', ''].map((text) => Buffer.from(text));
}

export function file(environ, startResponse) {
  startResponse('200 OK', TEXT);
  const fd = openSync(FILE);
  const read = (size) => {
    const block = Buffer.alloc(size);
    return block.subarray(0, readSync(fd, block, 0, size, null));
  };
  return environ['wsgi.file_wrapper']({ fd, read, close: () => closeSync(fd) });
}

export function fileLike(environ, startResponse) {
  startResponse('200 OK', TEXT);
  let rest = readFileSync(FILE);
  const read = (size) => {
    const block = rest.subarray(0, size);
    rest = rest.subarray(size);
    return block;
  };
  return environ['wsgi.file_wrapper']({ read }, 3);
}

export function echoing(environ, startResponse) {
  const body = environ['wsgi.input'].read();
  startResponse('200 OK', TEXT);
  return [body.length > 0 ? body : Buffer.from('body')];
}

export async function promise(_environ, startResponse) {
  await null;
  startResponse('200 OK', TEXT);
  return ['bo', 'dy'];
}

export async function* asynchronous(environ, startResponse) {
  for await (const _chunk of environ['wsgi.input']);
  startResponse('200 OK', TEXT);
  yield 'bo';
  yield 'dy';
}

const kinds = {
  list,
  callable,
  classed,
  generator,
  tuple,
  iterator,
  closing,
  writing,
  lazy,
  replacing,
  emptyBody,
  emptyBlocks,
  file,
  fileLike,
  echoing,
  promise,
  asynchronous,
};

/** The kind that the path names. */
export const application = (environ, startResponse) =>
  kinds[environ.PATH_INFO.slice(1)](environ, startResponse);
