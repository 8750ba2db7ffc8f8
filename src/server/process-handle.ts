/** Main thread of the supervisor. Its end of one process, from the fork to the end. */
import cluster, { type Worker } from 'node:cluster';
import { fromPayload, LidoError } from '../contract/errors.js';
import type { ProcessSnapshot } from '../observe/snapshot.js';
import { expandMounts } from '../settings/mounts.js';
import type { Settings } from '../settings/resolve.js';
import type { FromProcess, ToProcess } from './process-messages.js';

/** What an answer may take of a process that has other things to do. Milliseconds. */
const LOOK_PATIENCE_MS = 500;

export class ProcessHandle {
  readonly pid: number;
  /** Resolves with the start line once the process serves; rejects with a LidoError when it cannot. */
  readonly ready: Promise<string>;
  /** Resolves with how it ended, for people: "by SIGKILL", "with status 1". */
  readonly ended: Promise<string>;
  /** performance.now() when it began to serve; null before. */
  servingSince: number | null = null;
  /** What it told of itself last; null before it has told anything. */
  snapshot: ProcessSnapshot | null = null;
  #isStarted = false;
  #whenSeen: (() => void)[] = [];
  readonly #worker: Worker;

  constructor(settings: Settings) {
    const worker = cluster.fork();
    this.#worker = worker;
    this.pid = worker.process.pid ?? 0;
    this.ended = new Promise((resolve) => {
      worker.once('exit', (code, signal) => resolve(signal ? `by ${signal}` : `with status ${code}`));
      // Where the process could not even be made there is no exit.
      worker.process.once('error', (error) => resolve(`before it began: ${error.message}`));
    });
    closeForgottenConnections(worker, this.ended);
    this.ready = this.#waitUntilReady(settings);
    this.ready.catch(() => {});
  }

  /** Lets it finish what it runs and end; one that does not serve yet has nothing to finish. */
  stop(): void {
    if (this.servingSince === null) this.kill();
    else this.#post(['stop']);
  }

  /** Ends it at once, with what it runs. */
  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  /** Asks what it is at; resolves when `snapshot` is of now, or it has not answered for long: it may be stuck. */
  look(): Promise<void> {
    if (!this.#isStarted) return Promise.resolve();
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, LOOK_PATIENCE_MS);
      this.#whenSeen.push(() => {
        clearTimeout(patience);
        resolve();
      });
      this.#post(['look']);
    });
  }

  #see(snapshot: ProcessSnapshot): void {
    this.snapshot = snapshot;
    for (const tell of this.#whenSeen.splice(0)) tell();
  }

  #waitUntilReady(settings: Settings): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromProcess) => {
        if (message[0] === 'up') {
          this.#post(['start', settings]);
          this.#isStarted = true;
        } else if (message[0] === 'failed') {
          reject(fromPayload(message[1]));
        } else if (message[0] === 'seen') {
          this.#see(message[1]);
        } else {
          this.servingSince = performance.now();
          resolve(message[1]);
        }
      });
      void this.ended.then((how) =>
        reject(
          new LidoError('LIDO_ENDED_WHILE_LOADING', [nameApplications(settings), `its process ended ${how}`]),
        ),
      );
    });
  }

  /** A process that is gone takes no message; that it is gone is seen by its end. */
  #post(message: ToProcess): void {
    this.#worker.send(message, () => {});
  }
}

/** "hello.js:application", or several of them. */
export function nameApplications(settings: Settings): string {
  return expandMounts(settings)
    .map(([, { application }]) => application)
    .join(', ');
}

/**
 * node:cluster hands connections over one at a time, and forgets the one on its way when the process dies: the client
 * would wait for ever, and this process would keep the descriptor. Closing a handle that is closed already does nothing.
 */
function closeForgottenConnections({ process: child }: Worker, ended: Promise<unknown>): void {
  const latest = new Map<unknown, { close?(): void }>();
  const { send } = child;
  child.send = (...sent: unknown[]) => {
    const [message, handle] = sent as [{ key?: unknown }, { close?(): void } | undefined];
    if (handle?.close !== undefined) latest.set(message.key, handle);
    return Reflect.apply(send, child, sent) as boolean;
  };
  void ended.then(() => {
    for (const handle of latest.values()) handle.close?.();
  });
}
