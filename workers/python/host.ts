// A thread of its own. Initialises Python, which makes it Python's main thread, and interrupts requests that run too long.

import { parentPort, workerData } from 'node:worker_threads';
import { LidoError, toPayload } from '../../src/contract/errors.js';
import type { HostMessage, HostRequest, PythonInstallation } from '../../src/contract/protocol.js';
import { IMPORT_GATEWAY } from './cpython.js';
import { type LibPython, openLibpython, type Pointer, type RegisteredCallback } from './libpython.js';

const PREPARE = `${IMPORT_GATEWAY}
from _lido.failures import LidoTimeout
from _lido.interrupts import find_frame, interrupt
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
    this.#python = openLibpython(installation);
    this.#python.nameProgram(installation.executable);
    // Signals stay Node's.
    this.#python.initialize(0);
    this.#means = this.#prepare();
    this.#thread = this.#python.release();
  }

  /** Raises LidoTimeout in the thread that runs the request; see interrupts.py. Returns the stack that it had. */
  interrupt(thread: number, state: Pointer, request: number): string {
    if (state !== 0) return this.#interruptWithin(state, thread, request);
    this.#python.acquire(this.#thread);
    try {
      return this.#raise(this.#means, thread, request, 'find_frame');
    } finally {
      this.#python.release();
    }
  }

  /** An interpreter of a worker's own is entered for this once. */
  #interruptWithin(target: Pointer, thread: number, request: number): string {
    const python = this.#python;
    const state = python.newThread(python.interpreterOf(target));
    python.acquire(state);
    python.protectStack(state);
    try {
      const means = this.#prepare();
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
    const python = this.#python;
    const namespace = python.newNamespace();
    if (!python.runCode(PREPARE, namespace))
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
  parentPort?.on('message', (message: HostRequest) => {
    post(['interrupted', message[1], host.interrupt(message[2], message[3], message[4])]);
  });
  post(['ready']);
} catch (error) {
  post(['failed', toPayload(error)]);
}
