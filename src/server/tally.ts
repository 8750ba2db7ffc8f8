/** Main thread. Counts what comes in crowds, and of which the log tells now and then. */

/** It is told at most so often. Milliseconds. */
const LOG_PAUSE_MS = 10_000;

export class Tally {
  #count = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** All since it was told last; null where that was a moment ago. */
  add(count: number): number | null {
    this.#count += count;
    const now = performance.now();
    if (now - this.#toldAt < LOG_PAUSE_MS) return null;
    const all = this.#count;
    this.#toldAt = now;
    this.#count = 0;
    return all;
  }
}
