/** Main thread. The process's one Python, held by a thread of its own: loads applications, interrupts requests. */
import { Worker } from 'node:worker_threads';
import { fromPayload, LidoError } from '../contract/errors.js';
import type { HostMessage, HostRequest, PythonInstallation, PythonSpec } from '../contract/protocol.js';

const HOST_FILE = new URL('../../workers/python/host.js', import.meta.url);
const EXIT_FILE = new URL('../../workers/python/exit.js', import.meta.url);

/** How long the thread that ends the process may take to start: 40 ms at rest, above 500 on a busy machine. */
const EXIT_PATIENCE_MS = 5000;

interface LoadedHost {
  readonly installation: PythonInstallation;
  readonly host: Promise<PythonHost>;
}

/** Python is initialised once in a process and stays until its end: it cannot be loaded anew. */
let loaded: LoadedHost | null = null;

/** Starts the process's Python, or returns the one that runs. Rejects with LIDO_OTHER_PYTHON_LOADED when another one was asked for. */
export function startPythonHost(installation: PythonInstallation): Promise<PythonHost> {
  if (loaded === null) {
    loaded = { installation, host: startHost(installation) };
  } else if (loaded.installation.executable !== installation.executable) {
    return Promise.reject(
      new LidoError('LIDO_OTHER_PYTHON_LOADED', [installation.executable, loaded.installation.executable]),
    );
  }
  return loaded.host;
}

/** Ends the process although a thread is stuck inside Python; process.exit() would wait for it. Never resolves. */
export async function exitPastPython(status: number): Promise<void> {
  if (loaded === null) process.exit(status);
  // A thread of its own: the host may itself wait for a GIL that never comes.
  new Worker(EXIT_FILE, { execArgv: [], workerData: status });
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), EXIT_PATIENCE_MS);
  await new Promise(() => {});
}

function startHost(installation: PythonInstallation): Promise<PythonHost> {
  const worker = new Worker(HOST_FILE, {
    // Flags of the program that embeds Lido, such as --input-type, are not for this file.
    execArgv: [],
    workerData: installation,
  });
  return new Promise((resolve, reject) => {
    worker.once('error', (error) =>
      reject(new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [error.message], { cause: error })),
    );
    worker.once('message', (message: HostMessage) => {
      if (message[0] === 'failed') {
        reject(fromPayload(message[1]));
        return;
      }
      resolve(new PythonHost(worker));
    });
  });
}

export class PythonHost {
  readonly #worker: Worker;
  readonly #answers = new Map<number, (message: HostMessage) => void>();
  #lastToken = 0;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: HostMessage) => {
      const token = message[0] === 'ready' || message[0] === 'failed' ? 0 : message[1];
      this.#answers.get(token)?.(message);
      this.#answers.delete(token);
      // It has nothing to do in between, and must not keep the process alive.
      if (this.#answers.size === 0) worker.unref();
    });
    worker.unref();
  }

  /**
   * Imports the application and calls its factory, once for all threads of the process. Resolves with the number that
   * the workers find it by; rejects with the LidoError that says why it could not be loaded.
   */
  async load(application: PythonSpec): Promise<number> {
    const answer = await this.#ask((token) => ['load', token, application]);
    if (answer[0] === 'refused') throw fromPayload(answer[2]);
    return answer[0] === 'loaded' ? answer[2] : 0;
  }

  /** Lets go of an application that no worker runs any more. */
  unload(shared: number): void {
    this.#worker.postMessage(['unload', shared] satisfies HostRequest);
  }

  /** Raises LidoTimeout in the application that runs the request. Resolves with the stack where it stood. */
  async interrupt(
    { thread, state }: { readonly thread: number; readonly state: number },
    request: number,
  ): Promise<string> {
    const answer = await this.#ask((token) => ['interrupt', token, thread, state, request]);
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
