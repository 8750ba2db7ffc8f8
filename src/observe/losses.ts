/** Main thread. Tells of lines that were lost: once when it begins, and once when all is well again. */
import type { Log } from '../log.js';

/** What is on the verge takes a line now and then: it is not well before it has been told for so long. Milliseconds. */
const STEADY_MS = 10_000;

export class Losses {
  readonly #log: Log;
  #isFailing = false;
  #lost = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Lines cannot be written, for this reason, of which so many are lost. */
  fail(why: string, lines = 0): void {
    this.#lost += lines;
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#toldAt = performance.now();
    this.#log.warn(why);
  }

  /** All that waited is written. */
  recover(): void {
    if (!this.#isFailing || performance.now() - this.#toldAt < STEADY_MS) return;
    this.#isFailing = false;
    this.#log.info(`the access log is written again; ${this.#lost} lines were lost`);
    this.#lost = 0;
  }
}
