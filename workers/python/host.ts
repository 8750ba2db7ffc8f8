// A thread of its own. Initialises Python, which makes it Python's main thread, and interrupts requests that run too long.

import { parentPort, workerData } from 'node:worker_threads';
import { LidoError, toPayload } from '../../src/errors.js';
import type { HostMessage, HostRequest, PythonInstallation } from '../../src/protocol.js';
import { IMPORT_GATEWAY } from './cpython.js';
import { type LibPython, openLibpython, type Pointer } from './libpython.js';

const PREPARE = `${IMPORT_GATEWAY}
from _lido.failures import LidoTimeout
from _lido.interrupts import interrupt
`;

function post(message: HostMessage): void {
  parentPort?.postMessage(message);
}

/** Holds Python's main thread state; the GIL is free unless a request is being interrupted. */
class PythonHost {
  readonly #python: LibPython;
  readonly #thread: Pointer;
  readonly #namespace: Pointer;
  readonly #timeout: Pointer;
  /** The thread that is being interrupted. */
  #target = 0;

  constructor(installation: PythonInstallation) {
    this.#python = openLibpython(installation);
    this.#python.nameProgram(installation.executable);
    // Signals stay Node's.
    this.#python.initialize(0);
    this.#namespace = this.#python.newNamespace();
    if (!this.#python.runCode(PREPARE, this.#namespace))
      throw new LidoError('LIDO_306', [this.#python.takeError()]);
    this.#timeout = this.#python.getItem(this.#namespace, 'LidoTimeout');
    const { callable } = this.#python.wrapCallback('raise_timeout', () => {
      this.#python.setAsyncException(this.#target, this.#timeout);
    });
    this.#python.setAndDrop(this.#namespace, 'raise_timeout', callable);
    this.#thread = this.#python.release();
  }

  /** Ends the process, whatever its threads are at; needs no GIL. */
  exit(status: number): void {
    this.#python.exitProcess(status);
  }

  /** Raises LidoTimeout in the thread that runs the request; see interrupts.py. Returns the stack that it had. */
  interrupt(thread: number, request: number): string {
    const python = this.#python;
    this.#target = thread;
    python.acquire(this.#thread);
    try {
      if (!python.runCode(`stack = interrupt(${thread}, ${request}, raise_timeout)`, this.#namespace)) {
        python.clearError();
        return '';
      }
      return python.asText(python.getItem(this.#namespace, 'stack')) ?? '';
    } finally {
      python.release();
    }
  }
}

try {
  const host = new PythonHost(workerData as PythonInstallation);
  parentPort?.on('message', (message: HostRequest) => {
    if (message[0] === 'exit') host.exit(message[1]);
    else post(['interrupted', message[1], host.interrupt(message[2], message[3])]);
  });
  post(['ready']);
} catch (error) {
  post(['failed', toPayload(error)]);
}
