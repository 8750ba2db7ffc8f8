/** Main thread. The process's one Python, held by a thread of its own: loads applications, interrupts requests. */
import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread, Worker } from 'node:worker_threads';
import { explainThread, fromPayload, LidoError } from '../contract/errors.js';
import type {
  HostMessage,
  HostRequest,
  HostStart,
  InterruptTarget,
  OutputSettings,
  PythonInstallation,
  PythonSpec,
  StackDump,
} from '../contract/protocol.js';
import type { Log } from '../log.js';
import { settleTimeZone } from '../time-zone.js';
import { Looker, type PythonLook, profilePython } from './looker.js';
import { dumpStacks, formatThreads } from './stack-dump.js';
import { Waker } from './waker.js';

const HOST_FILE = new URL('../../workers/bundled/host.cjs', import.meta.url);
const EXIT_FILE = new URL('../../workers/python/exit.js', import.meta.url);

/** It runs next to no JavaScript: V8 would keep some megabytes for the short-lived objects that there are none of. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

/** How long the thread that ends the process may take to start: 40 ms at rest, above 500 on a busy machine. */
const EXIT_PATIENCE_MS = 5000;
/** Whoever computes leaves the GIL to others each 5 ms: where it was not to be had for so long, it is looked why. Milliseconds. */
const GIL_PATIENCE_MS = 2000;
/** What Python's threads and atexit handlers get at the least, even if the requests have used up the grace period. */
const LEAST_END_MS = 500;
/** And what they get where the process ends without having told Lido: by the end of a program that embeds it. */
const UNTOLD_END_MS = 2000;

interface LoadedHost {
  readonly installation: PythonInstallation;
  readonly host: Promise<PythonHost>;
}

/** Python is initialised once in a process and stays until its end: it cannot be loaded anew. */
let loaded: LoadedHost | null = null;

/** The host's thread where it was begun before anybody said which Python it is to hold. */
let waiting: Worker | null = null;

/** Begins the thread that will hold Python: it takes as long to begin as Python itself. Call it where there will be one. */
export function prepareHost(): void {
  waiting ??= beginThread();
  waiting.unref();
}

/** Starts the process's Python, or returns the one that runs. Rejects with LIDO_OTHER_PYTHON_LOADED when another one was asked for. */
export function startPythonHost(
  installation: PythonInstallation,
  output: OutputSettings,
): Promise<PythonHost> {
  if (loaded === null) {
    loaded = { installation, host: startHost(installation, output) };
    loaded.host.catch(() => {
      loaded = null;
    });
  } else if (loaded.installation.executable !== installation.executable) {
    return Promise.reject(
      new LidoError('LIDO_OTHER_PYTHON_LOADED', [installation.executable, loaded.installation.executable]),
    );
  }
  return loaded.host;
}

/**
 * Lets Python's threads finish and its atexit handlers run, as they do at the end of any Python, within `limitMs`. Resolves
 * with false where they do not: exitPastPython() is the way then. Call it when the workers have ended.
 */
export async function endPython(limitMs: number, log: Log): Promise<boolean> {
  const host = await loaded?.host.catch(() => null);
  return host === null || host === undefined || host.end(Math.max(LEAST_END_MS, limitMs), log);
}

/** The sources of the modules that Python has imported since the last time, save those of installed packages; none without Python. */
export async function listPythonFiles(): Promise<readonly string[]> {
  const host = await loaded?.host.catch(() => null);
  return host?.listFiles() ?? [];
}

/** Where the threads of the process's first interpreter stand; null where no Python is loaded. Never rejects. */
export async function lookAtPython(): Promise<PythonLook | null> {
  const host = (await loaded?.host.catch(() => null)) ?? null;
  return host === null ? null : host.look(null);
}

/**
 * Calls back whenever the process's Python turns out to be stuck: only another process can answer then. Does nothing where
 * the process has no Python; call it when the applications are loaded.
 */
export async function onStuckPython(listener: (error: LidoError) => void): Promise<void> {
  (await loaded?.host)?.on('stuck', listener);
}

/** Ends the process although a thread is stuck inside Python; process.exit() would wait for it. Never resolves. */
export async function exitPastPython(status: number): Promise<void> {
  if (loaded === null) process.exit(status);
  // A thread of its own: the host may itself wait for a GIL that never comes.
  new Worker(EXIT_FILE, { execArgv: [], workerData: status });
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), EXIT_PATIENCE_MS);
  await new Promise(() => {});
}

function startHost(installation: PythonInstallation, output: OutputSettings): Promise<PythonHost> {
  const start: HostStart = { installation, output, ended: new Int32Array(new SharedArrayBuffer(4)) };
  const worker = waiting ?? beginThread();
  waiting = null;
  worker.ref();
  worker.postMessage(['begin', start] satisfies HostRequest);
  // While the thread begins: an application may change it.
  settleTimeZone();
  return new Promise((resolve, reject) => {
    worker.once('error', (error) =>
      reject(new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [error.message], { cause: error })),
    );
    worker.once('message', (message: HostMessage) => {
      if (message[0] === 'failed') {
        reject(fromPayload(message[1]));
        return;
      }
      if (message[0] !== 'ready') return;
      const host = new PythonHost(worker, start, message[1], new Waker(message[2]));
      // A thread's end is not the process's, which it does not see.
      if (isMainThread) process.once('exit', (status) => host.endAtExit(status));
      resolve(host);
    });
  });
}

function beginThread(): Worker {
  try {
    // Flags of the program that embeds Lido, such as --input-type, are not for this file.
    return new Worker(HOST_FILE, { execArgv: [], resourceLimits: LIMITS });
  } catch (error) {
    throw explainThread(error);
  }
}

/** The name of the thread that loads applications. */
const MAIN_THREAD = 'MainThread';

export class PythonHost extends EventEmitter<{ stuck: [error: LidoError] }> {
  readonly #worker: Worker;
  readonly #start: HostStart;
  readonly #dump: StackDump | null;
  /** By which its workers wake this thread. */
  readonly waker: Waker;
  /** By the address of a thread's state in the interpreter that they look at, 0 for the process's first one. */
  readonly #lookers = new Map<number, Looker>();
  readonly #answers = new Map<number, (message: HostMessage) => void>();
  #lastToken = 0;
  #isEnding = false;
  /** Stops the profile that is being taken; one word. */
  readonly #stopProfile = new Int32Array(new SharedArrayBuffer(4));
  /** Applications that are being imported: an interruption waits for that. */
  #loading = 0;
  #isKeptOut = false;

  constructor(worker: Worker, start: HostStart, dump: StackDump | null, waker: Waker) {
    super();
    // One for each application.
    this.setMaxListeners(Number.POSITIVE_INFINITY);
    this.#worker = worker;
    this.#start = start;
    this.#dump = dump;
    this.waker = waker;
    worker.on('message', (message: HostMessage) => {
      const token = message[0] === 'ready' || message[0] === 'failed' ? 0 : message[1];
      this.#answers.get(token)?.(message);
      this.#answers.delete(token);
      // It has nothing to do in between, and must not keep the process alive.
      if (this.#answers.size === 0) worker.unref();
    });
    worker.on('error', ({ message }) => {
      this.emit(
        'stuck',
        new LidoError('LIDO_PYTHON_STUCK', [`the thread that holds it has ended: ${message}`]),
      );
    });
    worker.unref();
  }

  /**
   * Imports the application and calls its factory, once for all threads of the process. Resolves with the number that
   * the workers find it by, and the interface that it speaks; rejects with the LidoError that says why it could not be loaded.
   */
  async load(application: PythonSpec, log: Log): Promise<Pick<PythonSpec, 'shared' | 'interface'>> {
    this.#loading += 1;
    const answer = await this.#ask((token) => ['load', token, application]);
    this.#loading -= 1;
    if (answer[0] !== 'loaded' && answer[0] !== 'refused') return { shared: 0, interface: 'wsgi' };
    for (const line of answer[answer.length - 1] as readonly string[]) log.warn(line);
    if (answer[0] === 'refused') throw fromPayload(answer[2]);
    return { shared: answer[2], interface: answer[3] };
  }

  /**
   * Nobody waits for what it loads, which nothing interrupts: it does not keep the program alive, nor from its end, which waits for
   * each thread.
   */
  async letGo(): Promise<void> {
    this.#worker.unref();
    const { exitAtOnce } = await import('../system-calls.js');
    const exit = (status: number) => {
      if (this.#loading > 0) exitAtOnce(status);
    };
    if (isMainThread) process.once('exit', exit);
  }

  /** Where the threads of an interpreter stand: of this worker's own, or for null of the one that the process has first. Never rejects. */
  async look(target: InterruptTarget | null): Promise<PythonLook> {
    const state = target?.isIsolated === true ? target.state : 0;
    let looker = this.#lookers.get(state);
    if (looker === undefined) {
      looker = new Looker({ installation: this.#start.installation, state });
      this.#lookers.set(state, looker);
    }
    const look = await looker.look();
    if (!look.isGilKept || state !== 0 || this.#dump === null) return look;
    return { ...look, threads: await dumpStacks(this.#dump) };
  }

  /** Where the thread stands that loads applications; '' where it runs no Python, and where the GIL is not to be had. */
  async findStack(): Promise<string> {
    const { threads } = await this.look(null);
    return threads.find(({ name }) => name === MAIN_THREAD)?.stack ?? '';
  }

  /**
   * Profiles the threads of this worker's interpreter, or one of them, by Python's identity of it; resolves with JSON of speedscope's
   * file format. A process that ends has less of it.
   */
  profile(target: InterruptTarget, seconds: number, thread: number): Promise<string> {
    const start = { installation: this.#start.installation, state: target.isIsolated ? target.state : 0 };
    return profilePython(start, ['profile', seconds, thread, this.#stopProfile]);
  }

  #endProfile(): void {
    Atomics.store(this.#stopProfile, 0, 1);
    Atomics.notify(this.#stopProfile, 0);
  }

  /** See endPython(). */
  async end(limitMs: number, log: Log): Promise<boolean> {
    this.#isEnding = true;
    this.#endProfile();
    const ended = this.#ask((token) => ['end', token, null]).then(() => true);
    if (await Promise.race([ended, pause(limitMs, false, { ref: false })])) return true;
    const traceback = await this.findStack();
    const place = traceback === '' ? '' : '; they stand here';
    log.warn(
      { traceback },
      `Python's threads and atexit handlers took longer than the graceful time-out${place}`,
    );
    return false;
  }

  /** For the process's 'exit' event, after which nothing waits: the same, for a shorter time. */
  endAtExit(status: number): void {
    const isLooking = [...this.#lookers.values()].some((looker) => looker.isLooking);
    // Node would end it as soon as it has the GIL, and then wait for the host, which never gets that again.
    if (isLooking) process.kill(process.pid, 'SIGKILL');
    // What loads or ends is stuck, or somebody is in a hurry.
    if (this.#isEnding || this.#answers.size > 0) return;
    const limit = { seconds: UNTOLD_END_MS / 1000, status };
    this.#worker.postMessage(['end', 0, limit] satisfies HostRequest);
    Atomics.wait(this.#start.ended, 0, 0, 2 * UNTOLD_END_MS);
  }

  /**
   * Lets go of an application that no worker runs any more. Wait for it: a thread that is ended in the midst of Python takes
   * the GIL with it, as the end of a worker thread that served would do to this one.
   */
  async unload(shared: number): Promise<void> {
    await this.#ask((token) => ['unload', token, shared]);
  }

  /** See listPythonFiles(). */
  async listFiles(): Promise<readonly string[]> {
    const answer = await this.#ask((token) => ['list', token]);
    return answer[0] === 'listed' ? answer[2] : [];
  }

  /** Whether a thread keeps the GIL that does not come back: no other goes on. */
  get isKeptOut(): boolean {
    return this.#isKeptOut;
  }

  /**
   * Raises LidoTimeout in the application that runs the request. Resolves with the stack where it stood, as soon as Python
   * can be asked. Where somebody keeps the GIL for seconds, `keptOut` is called first with the stacks of all threads, '' where
   * these cannot be told; once until Python comes back.
   */
  async interrupt(
    target: InterruptTarget,
    request: number,
    keptOut: (stacks: string) => void,
  ): Promise<string> {
    let isAnswered = false;
    const findOut = async () => {
      if (this.#loading > 0) return;
      const { isGilKept, threads } = await this.look(target);
      if (!isGilKept || isAnswered || this.#isKeptOut) return;
      this.#isKeptOut = true;
      keptOut(formatThreads(threads));
    };
    const patience = setTimeout(() => void findOut(), GIL_PATIENCE_MS);
    const answer = await this.#ask((token) => ['interrupt', token, target, request]);
    clearTimeout(patience);
    isAnswered = true;
    this.#isKeptOut = false;
    return answer[0] === 'interrupted' ? answer[2] : '';
  }

  #ask(build: (token: number) => HostRequest): Promise<HostMessage> {
    this.#lastToken += 1;
    const token = this.#lastToken;
    const answer = new Promise<HostMessage>((resolve) => this.#answers.set(token, resolve));
    this.#worker.ref();
    this.#worker.postMessage(build(token));
    return answer;
  }
}
