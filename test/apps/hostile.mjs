// Applications that do what no application should; the Python ones in hostile.py are the same in spirit.
const TEXT = [['Content-Type', 'text/plain']];

function begin(startResponse) {
  return startResponse('200 OK', TEXT);
}

/** Another header each time that it is looked at. */
class Changing extends Array {
  #looks = 0;
  *[Symbol.iterator]() {
    this.#looks += 1;
    yield* this.#looks === 1 ? ['X-A', 'b'] : ['X-A', 'b\nX-Injected\n1'];
  }
}

const refuseAll = new Proxy(
  {},
  {
    get() {
      throw new Error('no property');
    },
    getPrototypeOf() {
      throw new Error('no prototype');
    },
  },
);

let kept = null;

const deeds = {
  raisesWithoutText() {
    const error = new Error('hidden');
    Object.defineProperty(error, 'stack', {
      get() {
        throw new Error('no stack');
      },
    });
    throw error;
  },
  raisesWithOddStack() {
    throw Object.assign(new Error('odd'), { stack: Symbol('stack') });
  },
  raisesProxy() {
    throw refuseAll;
  },
  async rejectsWithProxy() {
    throw refuseAll;
  },
  raisesItsOwnCause() {
    const error = new Error('round');
    error.cause = error;
    throw error;
  },
  statusWithoutText(_environ, startResponse) {
    startResponse(200n, TEXT);
    return [];
  },
  headerWithoutText(_environ, startResponse) {
    startResponse('200 OK', [['X-A', 1n]]);
    return [];
  },
  headerInItself(_environ, startResponse) {
    const header = [];
    header.push(header);
    startResponse('200 OK', [header]);
    return [];
  },
  changingHeader(_environ, startResponse) {
    startResponse('200 OK', [...TEXT, Changing.from(['X-A', 'b'])]);
    return ['body'];
  },
  namesLengthInValue(_environ, startResponse) {
    startResponse('200 OK', [...TEXT, ['Access-Control-Expose-Headers', 'Content-Length'], ['X-A', 'b']]);
    return [Buffer.alloc(400_000)];
  },
  *textTooEarly() {
    yield 'text';
  },
  undefinedBlock(_environ, startResponse) {
    begin(startResponse);
    return [undefined];
  },
  hole(_environ, startResponse) {
    begin(startResponse);
    // biome-ignore lint/suspicious/noSparseArray: that is the deed.
    return [,];
  },
  objectBlock(_environ, startResponse) {
    begin(startResponse);
    return [{ an: 'object' }];
  },
  returnsText(_environ, startResponse) {
    begin(startResponse);
    return 'text';
  },
  returnsBuffer(_environ, startResponse) {
    begin(startResponse);
    return Buffer.from('text');
  },
  nothingRead(environ, startResponse) {
    begin(startResponse);
    return environ['wsgi.file_wrapper']({ read: () => undefined });
  },
  iterationFails(_environ, startResponse) {
    begin(startResponse);
    return {
      [Symbol.iterator]() {
        throw new TypeError('of its own');
      },
    };
  },
  closeFailsToo(_environ, startResponse) {
    begin(startResponse);
    return {
      [Symbol.iterator]() {
        throw new Error('of its own');
      },
      close() {
        throw new Error('close as well');
      },
    };
  },
  readsNaN(environ) {
    environ['wsgi.input'].read(Number.NaN);
    return [];
  },
  readsNull(environ) {
    environ['wsgi.input'].readline(null);
    return [];
  },
  keeps(_environ, startResponse) {
    kept = { startResponse, write: begin(startResponse) };
    return ['kept'];
  },
  writesLate() {
    kept.write(Buffer.alloc(10_000_000));
    return [];
  },
  startsLate() {
    kept.startResponse('200 OK', TEXT);
    return [];
  },
  replacesLate() {
    kept.startResponse('200 OK', TEXT, new Error('too late'));
    return [];
  },
};

/** The deed that the path names. */
export const application = (environ, startResponse) =>
  deeds[environ.PATH_INFO.slice(1)](environ, startResponse);
