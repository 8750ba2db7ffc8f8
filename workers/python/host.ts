// A thread of its own. Initialises Python, which makes it Python's main thread, and interrupts requests that run too long.

import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { toPayload } from '../../src/errors.js';
import type { HostMessage, HostRequest, PythonInstallation } from '../../src/protocol.js';
import { IMPORT_GATEWAY } from './cpython.js';
import { type LibPython, openLibpython, type Pointer } from './libpython.js';

const GATEWAY = fileURLToPath(new URL('./gateway.py', import.meta.url));

function post(message: HostMessage): void {
  parentPort?.postMessage(message);
}

/** Holds Python's main thread state; the GIL is free unless a request is being interrupted. */
class PythonHost {
  readonly #python: LibPython;
  readonly #thread: Pointer;
  readonly #namespace: Pointer;

  constructor(installation: PythonInstallation) {
    this.#python = openLibpython(installation);
    this.#python.nameProgram(installation.executable);
    // Signals stay Node's.
    this.#python.initialize(0);
    this.#namespace = this.#python.newNamespace();
    this.#python.setText(this.#namespace, 'gateway_file', GATEWAY);
    this.#python.runCode(IMPORT_GATEWAY, this.#namespace);
    this.#thread = this.#python.release();
  }

  /**
   * Raises LidoTimeout in the thread that runs the request, while its application's own code runs. Returns the stack
   * that it had. Checked and raised under the GIL, so that it cannot hit the next request.
   */
  interrupt(thread: number, request: number): string {
    const python = this.#python;
    python.acquire(this.#thread);
    try {
      const code = `stack = gateway.check_interrupt(${thread}, ${request}) or ''
marked = gateway.mark_interrupted(${thread}, ${request})
timeout = gateway.LidoTimeout
flag = 'yes' if marked else 'no'
`;
      if (!python.runCode(code, this.#namespace)) {
        python.clearError();
        return '';
      }
      if (python.asText(python.getItem(this.#namespace, 'flag')) === 'yes') {
        python.setAsyncException(thread, python.getItem(this.#namespace, 'timeout'));
      }
      return python.asText(python.getItem(this.#namespace, 'stack')) ?? '';
    } finally {
      python.release();
    }
  }
}

try {
  const host = new PythonHost(workerData as PythonInstallation);
  parentPort?.on('message', ([kind, token, thread, request]: HostRequest) => {
    if (kind === 'interrupt') post(['interrupted', token, host.interrupt(thread, request)]);
  });
  post(['ready']);
} catch (error) {
  post(['failed', toPayload(error)]);
}
