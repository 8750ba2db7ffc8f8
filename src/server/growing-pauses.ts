/** Main thread of the supervisor. Pauses before what keeps failing is tried again: none at first, then doubled each time. Pure. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** What has held for so long is sound: its end begins a new count. Milliseconds. */
const STEADY_MS = 10_000;

export class GrowingPauses {
  #failuresInARow = 0;

  /** How long to wait this time. Milliseconds. */
  next(): number {
    const pauseMs = this.#failuresInARow === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (this.#failuresInARow - 1);
    this.#failuresInARow += 1;
    return Math.min(pauseMs, LONGEST_PAUSE_MS);
  }

  /** What failed now had held for so long before. */
  heldFor(ms: number): void {
    if (ms >= STEADY_MS) this.#failuresInARow = 0;
  }

  get longestMs(): number {
    return LONGEST_PAUSE_MS;
  }
}
