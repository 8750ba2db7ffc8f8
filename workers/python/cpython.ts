// Worker thread. Runs a Python application: enters Python once, where it stays, and does there what Python cannot do itself.
import { BroadcastChannel } from 'node:worker_threads';
import { describe, LidoError } from '../../src/contract/errors.js';
import {
  type FromWorker,
  GIL_WAIT,
  type InterruptTarget,
  LOADED_FILES,
  MAX_BLOCK,
  type PythonSpec,
  type SessionStart,
  type WakerRope,
  type WorkerSettings,
} from '../../src/contract/protocol.js';
import type { Runtime } from '../runtime.js';
import { Calls, FETCH, DESK_HEADER as HEADER, readRecord } from './calls.js';
import {
  describeApplication,
  describePython,
  explainFailure,
  type Failure,
  findLogFd,
  GATEWAY_FOLDER,
  IMPORT_GATEWAY,
  MESSAGES,
} from './gateway-code.js';
import { type EnteredInterpreter, enterInterpreter, leaveInterpreter } from './interpreter.js';
import { type LibPython, openLibpython, type Pointer, type RegisteredCallback } from './libpython.js';

/** Holds any record: a text of MAX_BLOCK bytes takes six times as much as JSON, where each has to be escaped. */
const DESK_SIZE = HEADER + 8 * MAX_BLOCK;

/** Runs in a namespace that has `part_name`, `settings_json`, `call`, `desk`. */
const START = `${IMPORT_GATEWAY}
import json
gateway = part(part_name)
worker, result = gateway.start(json.loads(settings_json), call, desk)
`;

const ATTACH = `
worker.attach(control, requests, bodies, answers)
worker.tell = part('.waker').make_waker(told.cast('I'), int(waker))
serve = worker.serve
`;
/** A loop is told everything by one ring. */
const ATTACH_LOOP = `
worker.attach(control, requests, answers)
worker.outbox.tell = part('.waker').make_waker(told.cast('I'), int(waker))
serve = worker.serve
`;

const LIST_FILES = `files = json.dumps(part('.loaded').list_files())\n`;

/** An interpreter of its own ends with its worker, as a process does. */
const END_INTERPRETER = `part('.ending').end()\n`;
const FORGET = 'if worker: gateway.forget(worker)\n';

type Log = (level: 'error' | 'warn' | 'info', text: string) => void;

/** Enters Python with this thread; an interpreter of its own loads the application here. Throws the LidoError that says why it could not be. */
export function loadCpython(settings: WorkerSettings, worker: number, log: Log): Runtime {
  return new CpythonRuntime(settings, settings.application as PythonSpec, worker, log);
}

/** What Python says of a worker that has started, or could not. */
interface Started {
  /** Python's identity of the thread. */
  readonly thread?: number;
  /** What the event loop is, where there is one. */
  readonly loop?: string;
  /** The descriptor that wakes the worker. */
  readonly bell?: number;
  readonly failure?: Failure;
}

class CpythonRuntime implements Runtime {
  readonly description: string;
  readonly interruptTarget: InterruptTarget;
  readonly bell: number | null;
  readonly #python: LibPython;
  readonly #entered: EnteredInterpreter;
  readonly #thread: Pointer;
  readonly #namespace: Pointer;
  readonly #callbacks: readonly RegisteredCallback[];
  readonly #log: Log;
  /** A loop has a lifespan. */
  readonly hasEnd: boolean;
  #desk: Buffer = Buffer.alloc(DESK_SIZE);
  #calls: Calls | null = null;

  constructor(settings: WorkerSettings, spec: PythonSpec, worker: number, log: Log) {
    this.#log = log;
    this.hasEnd = spec.interface === 'asgi';
    this.#python = openLibpython(spec.python);
    this.#entered = enterInterpreter(this.#python, spec.interpreter === 'isolated');
    this.#thread = this.#entered.thread;
    this.#namespace = this.#python.newNamespace();
    const call = this.#python.wrapCallback('call', () => this.#answerCall());
    this.#callbacks = [call];
    try {
      this.#python.setAndDrop(this.#namespace, 'call', call.callable);
      const { thread = 0, loop, bell } = this.#start(settings, spec, worker);
      this.interruptTarget = { thread, state: this.#thread, isIsolated: this.#entered.isIsolated };
      this.bell = bell ?? null;
      const interfaceName = loop === undefined ? '' : `, ASGI on ${loop}`;
      this.description = `${describePython(spec.python)} ${describeGil(spec)}${interfaceName}`;
    } catch (error) {
      this.#leave();
      throw error;
    }
    if (settings.tellsFiles && this.#entered.isIsolated) this.#tellFiles();
    this.#python.release();
  }

  /** An interpreter of its own has modules of its own, of which Python's main thread knows nothing. */
  #tellFiles(): void {
    if (!this.#python.runCode(LIST_FILES, this.#namespace)) {
      this.#python.clearError();
      return;
    }
    const files = this.#python.asText(this.#python.getItem(this.#namespace, 'files')) ?? '[]';
    const channel = new BroadcastChannel(LOADED_FILES);
    channel.postMessage(JSON.parse(files));
    channel.close();
  }

  /**
   * Blocks until the session is closed. An exception that gets out of the gateway costs its request, and no other.
   *
   * The thread stays in Python as long as there are requests, and for a while after that (see bell.py). Then it sleeps outside of
   * it: whoever calls process.exit() waits for threads that are in Python, and ends those that sleep here.
   */
  serve(start: SessionStart): void {
    this.#calls = new Calls(start, this.#withoutGil);
    this.#python.acquire(this.#thread);
    for (const [name, memory] of Object.entries({ control: start.control.buffer, ...start.rings }))
      if (memory !== null) this.#view(name, Buffer.from(memory));
    const { end, told } = start.settings.waker as WakerRope;
    this.#view('told', Buffer.from(told.buffer));
    this.#python.setText(this.#namespace, 'waker', String(end));
    this.#python.runCode(this.hasEnd ? ATTACH_LOOP : ATTACH, this.#namespace);
    const serve = this.#python.getItem(this.#namespace, 'serve');
    if (this.hasEnd) {
      this.#serveLoop(serve);
      return;
    }
    this.#python.release();
    while (!this.#calls.isClosed) {
      const asked = performance.now();
      this.#python.acquire(this.#thread);
      start.control[GIL_WAIT] = (start.control[GIL_WAIT] as number) + (performance.now() - asked) * 1000;
      const result = this.#python.callNoArguments(serve);
      if (result === 0) this.#giveUp();
      else this.#python.decref(result);
      this.#python.release();
      this.#calls.sleep();
    }
  }

  /** A loop is left only at the session's end. Called with the GIL, and gives it up. */
  #serveLoop(serve: Pointer): void {
    const result = this.#python.callNoArguments(serve);
    if (result === 0) this.#log('error', this.#python.takeError());
    else this.#python.decref(result);
    this.#python.release();
  }

  #giveUp(): void {
    this.#log('error', this.#python.takeError());
    if (!this.#python.runCode('worker.give_up()\n', this.#namespace)) this.#python.clearError();
  }

  /** Drops the thread state and with it the application's thread-local objects, such as connections to a database. */
  close(): void {
    this.#python.acquire(this.#thread);
    this.#leave();
  }

  /** Called with the GIL; gives it up for good. */
  #leave(): void {
    const python = this.#python;
    const code = this.#entered.isIsolated ? `${END_INTERPRETER}${FORGET}` : FORGET;
    if (!python.runCode(code, this.#namespace)) python.clearError();
    python.decref(this.#namespace);
    leaveInterpreter(python, this.#entered);
    for (const callback of this.#callbacks) callback.unregister();
  }

  #start(settings: WorkerSettings, spec: PythonSpec, worker: number): Started {
    const python = this.#python;
    const details = {
      constants: settings.constants,
      multithread: settings.multithread,
      multiprocess: settings.multiprocess,
      run_once: settings.runOnce,
      isolated: this.#entered.isIsolated,
      tellsManner: settings.tellsManner,
      shared: spec.shared,
      ...describeApplication(spec),
      state: this.#thread,
      log_fd: findLogFd(settings.output),
      labels: { application: spec.spec, worker },
      validate: settings.validate,
      timeout: settings.timeout,
      concurrency: settings.concurrency,
      messages: MESSAGES,
    };
    python.setText(this.#namespace, 'part_name', this.hasEnd ? '.asgi.worker' : '.gateway');
    python.setText(this.#namespace, 'settings_json', JSON.stringify(details));
    this.#view('desk', this.#desk);
    if (!python.runCode(START, this.#namespace))
      throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [`${GATEWAY_FOLDER}: ${python.takeError()}`]);
    const text = python.asText(python.getItem(this.#namespace, 'result')) ?? '{}';
    const started = JSON.parse(text) as Started;
    if (started.failure !== undefined) throw explainFailure(started.failure);
    return started;
  }

  #view(name: string, memory: Buffer): void {
    this.#python.setAndDrop(this.#namespace, name, this.#python.viewBuffer(memory, true));
  }

  /** Called by gateway.py, with the GIL: see calls.ts for what it may want. */
  #answerCall(): void {
    const ints = new Int32Array(this.#desk.buffer, this.#desk.byteOffset, HEADER / 4);
    const [wish = 0, id = 0, first = 0, second = 0] = ints;
    ints[0] = 0;
    try {
      if (wish === FETCH) this.#fetch(id);
      else if (this.#calls === null) this.#logEarly(readRecord(this.#desk, wish, id, first, second));
      else ints[0] = this.#calls.answer(wish, id, first, second, this.#desk);
    } catch (error) {
      this.#log('error', describe(error));
    }
  }

  /** While the application is loaded there is no session yet: it can only have something for the log. */
  #logEarly(message: FromWorker): void {
    if (message[0] === 'log') this.#log(message[2], message[3]);
  }

  /** Leaves a posted request on the desk. A larger desk is made for one that is too large: Python gets a view of that. */
  #fetch(id: number): void {
    const [, , environ, body] = (this.#calls as Calls).takePosted(id);
    const size = HEADER + environ.length + (body?.length ?? 0);
    if (size > this.#desk.length) {
      this.#desk = Buffer.alloc(size);
      this.#view('desk', this.#desk);
      this.#python.runCode('worker.desk = desk\n', this.#namespace);
    }
    const ints = new Int32Array(this.#desk.buffer, this.#desk.byteOffset, HEADER / 4);
    ints.set([0, id, environ.length, body === null ? -1 : body.length]);
    this.#desk.write(environ, HEADER, 'latin1');
    this.#desk.write(body ?? '', HEADER + environ.length, 'latin1');
  }

  /** Other threads may run Python while this one waits. */
  readonly #withoutGil = (wait: () => void): void => {
    this.#python.release();
    try {
      wait();
    } finally {
      this.#python.acquire(this.#thread);
    }
  };
}

function describeGil({ python, interpreter }: PythonSpec): string {
  if (python.freeThreaded) return 'without a GIL';
  return interpreter === 'isolated' ? 'with a GIL for each thread' : 'with one GIL';
}
