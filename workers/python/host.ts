// A thread of its own. Initialises Python, which makes it Python's main thread, loads applications there, and interrupts
// requests that run too long.
import { parentPort, workerData } from 'node:worker_threads';
import { LidoError, toPayload } from '../../src/contract/errors.js';
import type {
  HostMessage,
  HostRequest,
  PythonInstallation,
  PythonSpec,
} from '../../src/contract/protocol.js';
import {
  describeApplication,
  explainFailure,
  type Failure,
  IMPORT_GATEWAY,
  MESSAGES,
} from './gateway-code.js';
import type { LibPython, Pointer, RegisteredCallback } from './libpython.js';
import { startPython } from './start.js';

const PREPARE = `${IMPORT_GATEWAY}
import json
part('.gateway').prepare(json.loads(messages_json))
`;

const LOAD = `${IMPORT_GATEWAY}
result = part('.loader').load_shared(details_json)
`;
const UNLOAD = `${IMPORT_GATEWAY}
part('.loader').shared.pop(int(shared), None)
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

/** Holds Python's main thread state; the GIL is free unless a request is being interrupted. */
class PythonHost {
  readonly #python: LibPython;
  readonly #thread: Pointer;
  readonly #means: Means;
  /** The thread that is being interrupted, and what is raised in it. */
  #target = 0;
  #timeout: Pointer = 0;

  constructor(installation: PythonInstallation) {
    const { python, thread } = startPython(installation);
    this.#python = python;
    this.#thread = thread;
    this.#means = this.#withGil(() => this.#prepare());
  }

  /** Imports an application for all threads; returns its number. Throws the LidoError that says why it could not be. */
  load(application: PythonSpec): number {
    const result = this.#withGil(() =>
      this.#run(LOAD, { details_json: JSON.stringify(describeApplication(application)) }),
    );
    const { number, failure } = JSON.parse(result) as { number?: number; failure?: Failure };
    if (failure !== undefined) throw explainFailure(failure);
    return number as number;
  }

  unload(shared: number): void {
    this.#withGil(() => this.#run(UNLOAD, { shared: String(shared) }));
  }

  /** Raises LidoTimeout in the thread that runs the request; see interrupts.py. Returns the stack that it had. */
  interrupt(thread: number, state: Pointer, request: number): string {
    if (state !== 0) return this.#interruptWithin(state, thread, request);
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

  #prepare(): Means {
    this.#run(PREPARE, { messages_json: JSON.stringify(MESSAGES) });
    return this.#prepareInterrupts();
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

try {
  const host = new PythonHost(workerData as PythonInstallation);
  parentPort?.on('message', (request: HostRequest) => answer(host, request));
  post(['ready']);
} catch (error) {
  post(['failed', toPayload(error)]);
}

function answer(host: PythonHost, request: HostRequest): void {
  switch (request[0]) {
    case 'load':
      try {
        post(['loaded', request[1], host.load(request[2])]);
      } catch (error) {
        post(['refused', request[1], toPayload(error)]);
      }
      return;
    case 'unload':
      host.unload(request[1]);
      return;
    case 'interrupt':
      post(['interrupted', request[1], host.interrupt(request[2], request[3], request[4])]);
  }
}
