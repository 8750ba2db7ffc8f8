import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ErrorPayload } from '../../dist/src/contract/errors.js';
import type { FromWorker, PythonInstallation } from '../../dist/src/contract/protocol.js';

export const APPS = fileURLToPath(new URL('../apps', import.meta.url));
const CHILD = fileURLToPath(new URL('./python-process.mjs', import.meta.url));

export interface ApplicationRequest {
  readonly environ?: Record<string, string>;
  /** The whole body, or null when it comes as `chunks`. */
  readonly body?: string | null;
  /** The descriptor that the worker is told of in the body's place, of this file: -1 where there is none to be opened. */
  readonly file?: string | -1;
  readonly chunks?: readonly (Uint8Array | 'gone')[];
  /** Acknowledge nothing, as if the client took nothing. */
  readonly holdAcks?: boolean;
  /** The client goes away after so many blocks. */
  readonly goneAfter?: number;
  /** The client is gone before the worker sees the request. */
  readonly isGone?: boolean;
}

export interface Answer {
  readonly status: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The blocks as they came, each as latin-1 text. */
  readonly blocks: readonly string[];
  /** How the request ended. */
  readonly end: 'response' | 'end' | 'fail';
  readonly error: ErrorPayload | null;
  /** Lines of wsgi.errors. */
  readonly log: readonly string[];
  readonly kinds: readonly string[];
}

/** A process with one Python, whose workers are real threads with real ports. */
export class PythonProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: unknown) => void }
  >();
  readonly #watchers = new Set<() => void>();
  readonly exited: Promise<number | string>;
  readonly events: FromWorker[] = [];
  stderr = '';
  stdout = '';
  #token = 0;

  constructor() {
    this.#child = fork(CHILD, [], { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#child.stderr?.on('data', (data) => this.#note(() => (this.stderr += String(data))));
    this.#child.stdout?.on('data', (data) => this.#note(() => (this.stdout += String(data))));
    this.#child.on('message', (message: { token?: number; message?: FromWorker } & Settled) => {
      if (message.token === undefined) this.#note(() => this.events.push(message.message as FromWorker));
      else this.#settle(message.token, message);
    });
    this.exited = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        for (const { reject } of this.#pending.values())
          reject(new Error(`the process ended: ${code ?? signal}\n${this.stderr}`));
        resolve(code ?? signal ?? 'unknown');
      }),
    );
  }

  load(named: string | null, folder = '/'): Promise<PythonInstallation> {
    return this.#call('load', { named, folder });
  }

  /** Starts a worker. Rejects with the payload when its application could not be loaded. */
  async open(
    application: { module: string; callable?: string | null; path?: string[] },
    { session = 1, settings = {} }: { session?: number; settings?: object } = {},
  ): Promise<string> {
    const message = await this.#call<FromWorker>('open', {
      session,
      settings,
      application: { path: [APPS], ...application },
    });
    if (message[0] === 'failed') throw message[1];
    return message[1] as string;
  }

  async request(id: number, details: ApplicationRequest = {}, session = 1): Promise<Answer> {
    const environ = { REQUEST_METHOD: 'GET', PATH_INFO: '/', ...details.environ };
    return readAnswer(await this.#call<FromWorker[]>('request', { ...details, session, id, environ }));
  }

  repeat(
    count: number,
    details: ApplicationRequest & { warmUp: number },
  ): Promise<{ before: number; after: number; microseconds: number }> {
    const environ = { REQUEST_METHOD: 'GET', PATH_INFO: '/', ...details.environ };
    return this.#call('repeat', { ...details, session: 1, count, environ });
  }

  /** Interrupts a request. Resolves with the stack, empty if it did not run. */
  interrupt(id: number, session = 1): Promise<string> {
    return this.#call('interrupt', { session, id });
  }

  gone(id: number, session = 1): Promise<void> {
    return this.#call('gone', { session, id });
  }

  /** What the last request did with the GIL, as MANNER tells it. */
  manner(session = 1): Promise<number> {
    return this.#call('manner', { session });
  }

  /** How many descriptors of this file are open in the process. */
  descriptors(file: string): Promise<number> {
    return this.#call('descriptors', { file });
  }

  /** Wakes a worker, which says as soon as it has the GIL that it has. */
  askForGil(session = 1): Promise<void> {
    return this.#call('askForGil', { session });
  }

  /** It has found the GIL free, since it was asked last. */
  foundGilFree(session = 1): Promise<boolean> {
    return this.#call('foundGilFree', { session });
  }

  hasHadGil(session = 1): Promise<boolean> {
    return this.#call('hasHadGil', { session });
  }

  /** Where its worker sleeps, as SLEEPING tells it. */
  place(session = 1): Promise<number> {
    return this.#call('place', { session });
  }

  close(session = 1): Promise<void> {
    return this.#call('close', { session });
  }

  exit(code = 0): void {
    this.#call('exit', { code }).catch(() => {});
  }

  /** Resolves once the condition holds; looked at whenever the process says something. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  #note(change: () => void): void {
    change();
    for (const look of [...this.#watchers]) look();
  }

  #call<T>(command: string, details: object): Promise<T> {
    this.#token += 1;
    const token = this.#token;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(token, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.send({ token, command, details });
    });
  }

  #settle(token: number, { error, result }: Settled): void {
    const waiting = this.#pending.get(token);
    this.#pending.delete(token);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(error);
  }
}

interface Settled {
  readonly result?: unknown;
  readonly error?: unknown;
}

/** A process with this Python and this application in its first worker. */
export async function openPython(
  named: string,
  module: string,
  callable: string | null = null,
  settings: object = {},
): Promise<PythonProcess> {
  const python = new PythonProcess();
  try {
    await python.load(named);
    await python.open({ module, callable }, { settings });
  } catch (error) {
    await python[Symbol.asyncDispose]();
    throw error;
  }
  return python;
}

function readAnswer(messages: readonly FromWorker[]): Answer {
  let head = '';
  const blocks: string[] = [];
  let error: ErrorPayload | null = null;
  for (const message of messages) {
    if (message[0] === 'response' || message[0] === 'head') head = message[2];
    if (message[0] === 'response' || message[0] === 'head') blocks.push(asText(message[3]));
    if (message[0] === 'block') blocks.push(asText(message[2]));
    if (message[0] === 'fail') error = message[2];
  }
  const [status = '', ...fields] = head.split('\n');
  const headers = Array.from({ length: fields.length / 2 }, (_, index) => {
    return [fields[index * 2] as string, fields[index * 2 + 1] as string] as const;
  });
  const log = messages.flatMap((message) => (message[0] === 'log' ? [message[3]] : []));
  const kinds = messages.map((message) => message[0]);
  return { status, headers, blocks, end: kinds.at(-1) as Answer['end'], error, log, kinds };
}

function asText(block: string | Uint8Array): string {
  return typeof block === 'string' ? block : Buffer.from(block).toString('latin1');
}

/** Every Python of this machine that Lido supports and that has a shared library: its version and its interpreter. */
export function findPythons(): readonly (readonly [version: string, interpreter: string])[] {
  const versions = join(process.env.PYENV_ROOT ?? join(process.env.HOME ?? '/', '.pyenv'), 'versions');
  const pyenv = existsSync(versions) ? readdirSync(versions).map((name) => join(versions, name, 'bin')) : [];
  const found = new Map<string, string>();
  for (const folder of ['/usr/bin', '/usr/local/bin', ...pyenv]) {
    for (const minor of [9, 10, 11, 12, 13, 14]) {
      const interpreter = join(folder, `python3.${minor}`);
      if (existsSync(interpreter) && hasLibrary(folder, minor))
        found.set(`${minor} in ${dirname(folder)}`, interpreter);
    }
  }
  return [...found].map(([key, interpreter]) => [`3.${key}`, interpreter]);
}

/** Interpreters of it may have a GIL each. */
export function hasOwnGils(interpreter: string): boolean {
  const code =
    'import sys; print(sys.version_info >= (3, 13) and getattr(sys, "_is_gil_enabled", lambda: True)())';
  return execFileSync(interpreter, ['-c', code]).toString().trim() === 'True';
}

function hasLibrary(folder: string, minor: number): boolean {
  const library = join(dirname(folder), 'lib');
  const places = [library, join(library, 'x86_64-linux-gnu'), join(library, 'aarch64-linux-gnu')];
  // A free-threaded build has a t behind its version.
  const names = ['', 't'].map((flag) => `libpython3.${minor}${flag}.so.1.0`);
  return places.some((place) => names.some((name) => existsSync(join(place, name))));
}
