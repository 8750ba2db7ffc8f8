/** Main thread. [8] When a session looks for answers of which its worker has not told. */
import { LONGEST_UNTOLD_NS, SERVICE_TIME } from '../contract/protocol.js';

/**
 * Requests that are sent before this thread looks for answers in the midst of its turn, which may bring hundreds: those that
 * are over give way to new ones, instead of piling up in memory that no cache holds any more.
 */
const MOST_UNLOOKED = 16;

/**
 * A worker without a loop tells of several answers at once (see tell_in_time() in speaker.py). So this thread looks by itself once in
 * each turn in which it has sent something, since it is awake then; and the dispatcher lets it look every few milliseconds while
 * the worker may be about one request without having told of another. Requests that take long are each told of. Where none is
 * queued any more the dispatcher does not look: what was left untold for the sake of one that was taken back is looked for then.
 */
export class Lookout {
  readonly #control: Int32Array;
  readonly #look: () => void;
  /** Requests sent in this turn since it was last looked. */
  #unlooked = 0;
  #willLook = false;

  constructor(control: Int32Array, look: () => void) {
    this.#control = control;
    this.#look = look;
  }

  /** A request was sent. */
  noteSent(): void {
    if ((this.#control[SERVICE_TIME] as number) >= LONGEST_UNTOLD_NS) return;
    this.#unlooked += 1;
    if (this.#unlooked === MOST_UNLOOKED) process.nextTick(this.#lookNow);
    this.#lookSoon();
  }

  /** Requests that were queued there were taken back. */
  noteRecalled(): void {
    this.#lookSoon();
  }

  #lookSoon(): void {
    if (!this.#willLook) setImmediate(this.#lookAtEnd);
    this.#willLook = true;
  }

  readonly #lookNow = (): void => {
    this.#unlooked = 0;
    this.#look();
  };

  readonly #lookAtEnd = (): void => {
    this.#willLook = false;
    this.#lookNow();
  };
}
