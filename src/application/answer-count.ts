/** Main thread. How many answers are on their way, for whoever must wait for the last. */

import { setTimeout as sleep } from 'node:timers/promises';

export class AnswerCount {
  #count = 0;
  #whenNone: (() => void)[] = [];

  /** Counts one more; call what it returns when that one is over, whole or not. */
  add(): () => void {
    this.#count += 1;
    return () => {
      this.#count -= 1;
      if (this.#count === 0) for (const resolve of this.#whenNone.splice(0)) resolve();
    };
  }

  /** Resolves when there is none, after so many milliseconds at the latest. */
  async whenNone(patienceMs: number): Promise<void> {
    if (this.#count === 0) return;
    const timeout = new AbortController();
    const none = new Promise<void>((resolve) => this.#whenNone.push(resolve));
    await Promise.race([none, sleep(patienceMs, undefined, { signal: timeout.signal }).catch(() => {})]);
    timeout.abort();
  }
}
