/** Main thread. Tells the log of requests that are refused. They come in crowds: one line a while is for all of a kind. */
import type { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';

/** Milliseconds. */
const PAUSE_MS = 10_000;

interface Told {
  at: number;
  /** Refused since. */
  untold: number;
}

export class RefusalLog {
  readonly #told = new Map<string, Told>();

  /** What is the client's fault is its own to see; and that the server ends is in the log already. */
  tell({ code, message, status = 500 }: LidoError, log: Log): void {
    if (status < 500 || code === 'LIDO_SHUTTING_DOWN') return;
    const now = performance.now();
    const told = this.#told.get(code) ?? { at: Number.NEGATIVE_INFINITY, untold: 0 };
    this.#told.set(code, told);
    told.untold += 1;
    if (now - told.at < PAUSE_MS) return;
    const requests = told.untold === 1 ? 'a request was' : `${told.untold} requests were`;
    told.at = now;
    told.untold = 0;
    log.warn({ code }, `${requests} refused: ${message}`);
  }
}
