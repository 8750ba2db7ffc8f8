// Worker thread. What a JavaScript application prints: whole lines, written at once by this thread, and lines of the log where
// that is JSON. Node would send them to the main thread, and lose what is on the way when this one ends.
import { AsyncLocalStorage } from 'node:async_hooks';
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { OutputSettings } from '../../src/contract/protocol.js';

/** Runs code so that what it prints is told to be this request's. */
export type OutputScope = <T>(requestId: string, act: () => T) => T;

/** What every line says of the worker. */
type Labels = Readonly<Record<string, string | number>>;

/** Characters of a line without an end that are kept. */
const MAX_PARTIAL = 65_536;
/** A pipe that takes nothing for so long, and is not to be waited for by the system, loses the line. Milliseconds. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 5;

/** pino's numbers. What is written to standard error is an error as far as anybody can tell, as in wsgi.errors. */
const INFO = 30;
export const ERROR = 50;
const CONSOLE_LEVELS = { trace: 10, debug: 20, log: INFO, info: INFO, warn: 40, error: ERROR } as const;

/** Takes the place of process.stdout and process.stderr; call it before anything of the application's is loaded. Null where nothing is captured. */
export function takeOutput({ isCaptured, logFd }: OutputSettings, labels: Labels): CapturedOutput | null {
  if (!isCaptured) {
    replaceStream('stdout', (data) => writeAll(1, data));
    replaceStream('stderr', (data) => writeAll(2, data));
    return null;
  }
  return new CapturedOutput(logFd, labels);
}

export class CapturedOutput {
  readonly #logFd: number;
  readonly #labels: Labels;
  readonly #requests = new AsyncLocalStorage<string>();
  /** Of the console's method that is at work; null while none is. */
  #level: number | null = null;

  constructor(logFd: number, labels: Labels) {
    this.#logFd = logFd;
    this.#labels = labels;
    for (const [name, level] of [
      ['stdout', INFO],
      ['stderr', ERROR],
    ] as const) {
      const lines = new LineGatherer((text) => this.log(name, this.#level ?? level, text));
      const decoder = new StringDecoder();
      replaceStream(name, (data) => lines.add(decoder.write(data)));
      process.on('exit', () => lines.flush());
    }
    this.#tellLevels();
  }

  readonly scope: OutputScope = (requestId, act) => this.#requests.run(requestId, act);

  /** Writes one line of the log, as pino does. */
  log(stream: string, level: number, text: string): void {
    const msg = text.replace(/[\r\n]+$/, '');
    if (msg === '') return;
    const requestId = this.#requests.getStore();
    const head = { level, time: Date.now(), pid: process.pid, ...this.#labels };
    const line = { ...head, ...(requestId === undefined ? {} : { requestId }), stream, msg };
    writeAll(this.#logFd, Buffer.from(`${JSON.stringify(line)}\n`));
  }

  /** console.warn() and console.error() write to the same stream. */
  #tellLevels(): void {
    for (const [name, level] of Object.entries(CONSOLE_LEVELS) as [keyof typeof CONSOLE_LEVELS, number][]) {
      const write = console[name].bind(console);
      console[name] = (...values: unknown[]) => {
        this.#level = level;
        try {
          write(...values);
        } finally {
          this.#level = null;
        }
      };
    }
  }
}

/** What is written at once and ends with a line break is one line of the log, such as an error with its stack. */
class LineGatherer {
  readonly #emit: (text: string) => void;
  #partial = '';

  constructor(emit: (text: string) => void) {
    this.#emit = emit;
  }

  add(text: string): void {
    const whole = this.#partial + text;
    const end = whole.length > MAX_PARTIAL ? whole.length : whole.lastIndexOf('\n') + 1;
    this.#partial = whole.slice(end);
    if (end > 0) this.#emit(whole.slice(0, end));
  }

  flush(): void {
    if (this.#partial !== '') this.#emit(this.#partial);
    this.#partial = '';
  }
}

function replaceStream(name: 'stdout' | 'stderr', take: (data: Buffer) => void): void {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk);
      done();
    },
  });
  letNodeFind(stream, process[name]);
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
}

/** Where the main thread asks for more of what is written, Node calls a method of its own stream by a symbol: that may come late. */
function letNodeFind(stream: Writable, own: object): void {
  const kind = Object.getPrototypeOf(own);
  for (const key of Object.getOwnPropertySymbols(kind))
    if (!(key in stream)) Object.defineProperty(stream, key, { value: kind[key].bind(own) });
}

function writeAll(fd: number, data: Buffer): void {
  let rest: Uint8Array = data;
  let waited = 0;
  while (rest.length > 0 && waited < PATIENCE_MS) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
      waited = 0;
    } catch (error) {
      // Nobody reads any more, or the disk is full: that is no reason for a request to fail.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      waited += PAUSE_MS;
    }
  }
}
