/** Main thread. While a lull is here, nothing that clients say is looked at, so that the turns of the event loop are short. */

/** For so long at most: whoever waits for an answer waits so much longer for it. Milliseconds. */
const LONGEST_MS = 100;

/** Who has something to look at. */
export interface Waiting {
  goOn(): void;
}

export class Lull {
  isHere = false;
  /** In the order in which they came. */
  #kept: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;

  begin(longestMs = LONGEST_MS): void {
    this.isHere = true;
    this.#timer ??= setTimeout(this.end, longestMs);
  }

  /** Lets somebody go on once it is over. */
  keep(waiting: Waiting): void {
    this.#kept.push(waiting);
  }

  /** Nothing where none is here. */
  readonly end = (): void => {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.isHere = false;
    for (const waiting of this.#kept.splice(0)) waiting.goOn();
  };
}

/** The one of this process. */
export const lull = new Lull();
