/**
 * Main thread. When an application gets more threads, and when it does with fewer. Pure: time comes in from outside.
 *
 * What decides is waiting, as in puma: a request that waits while every thread is taken could have had one more. Not so
 * where the processors are all busy, for another thread would wait for them as well; nor under one GIL, where requests
 * that compute wait while threads are free.
 */

/** How many threads there may be. */
export interface ThreadLimits {
  readonly min: number;
  readonly max: number;
}

/** An application at one moment. */
export interface Load {
  /** Threads that serve, and those that are about to. */
  readonly threads: number;
  readonly starting: number;
  /** Those that can take no further request now. */
  readonly full: number;
  /** Requests that wait for a thread. */
  readonly waiting: number;
  /** How long the request has waited that waits longest for a thread; 0 where none does. */
  readonly waitMs: number;
  /** The process uses all processors that it may. */
  readonly isSaturated: boolean;
}

/** A wait that is worth a thread: longer than a burst of quick requests waits, and about what it takes to start one. */
export const WORTH_STARTING_MS = 50;
/** How long threads must have been of no use before some are ended: a lull is no evening. */
export const UNUSED_MS = 30_000;
/** Of threads that are there: this part is added at once at most, so that a rush is met in a few steps. */
const GROWTH = 1 / 2;

export class ScalingPolicy {
  readonly #limits: ThreadLimits;
  /** The most that were full at once since then. */
  #mostFull = 0;
  #since: number;

  constructor(limits: ThreadLimits, now: number) {
    this.#limits = limits;
    this.#since = now;
  }

  /** How many threads to start, or to end where it is negative. To be asked again and again. */
  decide({ threads, starting, full, waiting, waitMs, isSaturated }: Load, now: number): number {
    const { min, max } = this.#limits;
    this.#mostFull = Math.max(this.#mostFull, full);
    // What was begun shows its effect first.
    if (starting > 0) return 0;
    if (threads < max && full === threads && waitMs >= WORTH_STARTING_MS && !isSaturated) {
      this.#beginAnew(now);
      return Math.min(max - threads, Math.max(1, Math.min(waiting, Math.floor(threads * GROWTH))));
    }
    if (now - this.#since < UNUSED_MS) return 0;
    // One to spare: whoever needed so many lately may need one more in a moment.
    const unused = threads - Math.max(min, this.#mostFull + 1);
    this.#beginAnew(now);
    return unused > 0 ? -Math.ceil(unused / 2) : 0;
  }

  #beginAnew(now: number): void {
    this.#mostFull = 0;
    this.#since = now;
  }
}
