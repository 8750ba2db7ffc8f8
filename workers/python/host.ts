// A thread of its own. Initialises Python, which makes it Python's main thread, loads applications there, and interrupts
// requests that run too long.
import { parentPort } from 'node:worker_threads';
import { LidoError, toPayload } from '../../src/contract/errors.js';
import type {
  HostMessage,
  HostRequest,
  HostStart,
  InterruptTarget,
  PythonInterface,
  PythonSpec,
  StackDump,
  WakerEnds,
} from '../../src/contract/protocol.js';
import {
  describeApplication,
  explainFailure,
  type Failure,
  findLogFd,
  IMPORT_GATEWAY,
  MESSAGES,
} from './gateway-code.js';
import type { LibPython, Pointer, RegisteredCallback } from './libpython.js';
import { startPython } from './start.js';

const PREPARE = `${IMPORT_GATEWAY}
import json
part('.prepare').prepare(json.loads(messages_json), json.loads(log_fd))
from threading import get_ident
stacks = part('.stacks')
stacks.names.update({key: 'MainThread' for key in (state, str(get_ident()))})
result = stacks.open_dump() if may_dump == 'True' else 'null'
`;

const MAKE_WAKER = `${IMPORT_GATEWAY}
import json
result = json.dumps(dict(zip(('read', 'write'), part('.waker').make_pipe())))
`;

const LOAD = `${IMPORT_GATEWAY}
result = part('.loader').load_shared(details_json)
`;
const UNLOAD = `${IMPORT_GATEWAY}
part('.loader').shared.pop(int(shared), None)
`;

const LIST = `${IMPORT_GATEWAY}
import json
result = json.dumps(part('.loaded').list_fresh_files())
`;

const END = `${IMPORT_GATEWAY}
import json
ending, limit = part('.ending'), json.loads(limit_json)
if limit is None:
    ending.end()
else:
    ending.end_within(limit['seconds'], limit['status'])
`;

const PREPARE_INTERRUPTS = `${IMPORT_GATEWAY}
LidoTimeout = part('.failures').LidoTimeout
find_frame, interrupt = part('.interrupts').find_frame, part('.interrupts').interrupt
`;

function post(message: HostMessage): void {
  parentPort?.postMessage(message);
}

/** What it takes to interrupt a request, within one interpreter. */
interface Means {
  readonly namespace: Pointer;
  readonly timeout: Pointer;
  readonly raise: RegisteredCallback;
}

/** What loader.py's load_shared() returns; 0 where the application could not be loaded. */
interface Loaded {
  readonly number: number;
  readonly speaks?: PythonInterface;
  readonly failure?: Failure;
  readonly lines: readonly string[];
}

type EndLimit = Extract<HostRequest, readonly ['end', ...unknown[]]>[2];

/** Holds Python's main thread state; the GIL is free unless a request is being interrupted. */
class PythonHost {
  readonly #python: LibPython;
  readonly #thread: Pointer;
  readonly #means: Means;
  /** Whether this thread initialised Python: its main thread, to which its end belongs. */
  readonly #isMain: boolean;
  readonly dump: StackDump | null;
  readonly waker: WakerEnds;
  /** The thread that is being interrupted, and what is raised in it. */
  #target = 0;
  #timeout: Pointer = 0;

  constructor({ installation, output }: HostStart) {
    const { python, thread, isMain } = startPython(installation);
    this.#python = python;
    this.#thread = thread;
    this.#isMain = isMain;
    // Of several that share a process one has the signal: the first.
    const may_dump = isMain && !installation.freeThreaded ? 'True' : 'False';
    const texts = {
      messages_json: JSON.stringify(MESSAGES),
      state: String(thread),
      may_dump,
      log_fd: JSON.stringify(findLogFd(output)),
    };
    this.dump = JSON.parse(this.#withGil(() => this.#run(PREPARE, texts))) as StackDump | null;
    this.waker = JSON.parse(this.#withGil(() => this.#run(MAKE_WAKER))) as WakerEnds;
    this.#means = this.#withGil(() => this.#prepareInterrupts());
  }

  /** Imports an application for all threads. */
  load(application: PythonSpec): Loaded {
    const texts = { details_json: JSON.stringify(describeApplication(application)) };
    return JSON.parse(this.#withGil(() => this.#run(LOAD, texts))) as Loaded;
  }

  /** Sources of modules, where there are more of them than the last time. */
  list(): readonly string[] {
    return JSON.parse(this.#withGil(() => this.#run(LIST))) as string[];
  }

  /** Returns when Python's threads and its atexit handlers are through, which they may never be. */
  end(limit: EndLimit): void {
    if (this.#isMain) this.#withGil(() => this.#run(END, { limit_json: JSON.stringify(limit) }));
  }

  unload(shared: number): void {
    this.#withGil(() => this.#run(UNLOAD, { shared: String(shared) }));
  }

  /** Raises LidoTimeout in the thread that runs the request; see interrupts.py. Returns the stack that it had. */
  interrupt({ thread, state, isIsolated }: InterruptTarget, request: number): string {
    if (isIsolated) return this.#interruptWithin(state, thread, request);
    return this.#withGil(() => this.#raise(this.#means, thread, request, 'find_frame'));
  }

  /** An interpreter of a worker's own is entered for this once. */
  #interruptWithin(target: Pointer, thread: number, request: number): string {
    const python = this.#python;
    const state = python.newThread(python.interpreterOf(target));
    python.acquire(state);
    python.protectStack(state);
    try {
      const means = this.#prepareInterrupts();
      const frame = python.frameOf(target);
      if (frame !== 0) python.setAndDrop(means.namespace, 'frame', frame);
      const stack = frame === 0 ? '' : this.#raise(means, thread, request, 'lambda _: frame');
      python.decref(means.namespace);
      means.raise.unregister();
      return stack;
    } catch {
      return '';
    } finally {
      python.clearThread(state);
      python.deleteCurrentThread();
    }
  }

  /** Runs code with these texts in its namespace; what it leaves as `result` is returned, '' where that is nothing. */
  #run(code: string, texts: Readonly<Record<string, string>> = {}): string {
    const python = this.#python;
    const namespace = python.newNamespace();
    try {
      for (const [name, text] of Object.entries(texts)) python.setText(namespace, name, text);
      if (!python.runCode(code, namespace))
        throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [python.takeError()]);
      const result = python.getItem(namespace, 'result');
      return result === 0 ? '' : (python.asText(result) ?? '');
    } finally {
      python.decref(namespace);
    }
  }

  #withGil<T>(act: () => T): T {
    this.#python.acquire(this.#thread);
    try {
      return act();
    } finally {
      this.#python.release();
    }
  }

  #prepareInterrupts(): Means {
    const python = this.#python;
    const namespace = python.newNamespace();
    if (!python.runCode(PREPARE_INTERRUPTS, namespace))
      throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [python.takeError()]);
    const raise = python.wrapCallback('raise_timeout', () => {
      python.setAsyncException(this.#target, this.#timeout);
    });
    python.setAndDrop(namespace, 'raise_timeout', raise.callable);
    return { namespace, timeout: python.getItem(namespace, 'LidoTimeout'), raise };
  }

  /** `frameOf` is Python for what gives a thread's frame. */
  #raise({ namespace, timeout }: Means, thread: number, request: number, frameOf: string): string {
    const python = this.#python;
    this.#target = thread;
    this.#timeout = timeout;
    if (!python.runCode(`stack = interrupt(${thread}, ${request}, raise_timeout, ${frameOf})`, namespace)) {
      python.clearError();
      return '';
    }
    return python.asText(python.getItem(namespace, 'stack')) ?? '';
  }
}

parentPort?.once('message', ([, start]: Extract<HostRequest, readonly ['begin', HostStart]>) => {
  try {
    const host = new PythonHost(start);
    parentPort?.on('message', (request: HostRequest) => answer(host, start, request));
    post(['ready', host.dump, host.waker]);
  } catch (error) {
    post(['failed', toPayload(error)]);
  }
});

function answer(host: PythonHost, start: HostStart, request: HostRequest): void {
  switch (request[0]) {
    case 'load':
      load(host, request[1], request[2]);
      return;
    case 'unload':
      host.unload(request[2]);
      post(['unloaded', request[1]]);
      return;
    case 'list':
      post(['listed', request[1], host.list()]);
      return;
    case 'interrupt':
      post(['interrupted', request[1], host.interrupt(request[2], request[3])]);
      return;
    case 'end':
      host.end(request[2]);
      Atomics.store(start.ended, 0, 1);
      Atomics.notify(start.ended, 0);
      post(['ended', request[1]]);
  }
}

function load(host: PythonHost, token: number, application: PythonSpec): void {
  try {
    const { number, speaks = 'wsgi', failure, lines } = host.load(application);
    if (failure === undefined) post(['loaded', token, number, speaks, lines]);
    else post(['refused', token, toPayload(explainFailure(failure)), lines]);
  } catch (error) {
    post(['refused', token, toPayload(error), []]);
  }
}
