// Worker thread. How long the application takes for a request, for the dispatcher.
import { SERVICE_TIME } from '../src/contract/protocol.js';

/** Until something is known, a request counts as worth a worker of its own. */
export const FIRST_GUESS_NS = 1_000_000;
/** The last request's part in the mean. A slow one among a hundred quick ones is remembered until hundreds have followed. */
export const WEIGHT = 1 / 128;
/** The word is an Int32. */
export const MAX_NS = 2 ** 31 - 1;

/** Keeps the control word up to date. */
export class ServiceTime {
  readonly #control: Int32Array;
  #meanNs = FIRST_GUESS_NS;

  constructor(control: Int32Array) {
    this.#control = control;
    this.#control[SERVICE_TIME] = FIRST_GUESS_NS;
  }

  /** A request is over that began and ended at these times of performance.now(). */
  count(began: number, ended: number): void {
    this.#meanNs += ((ended - began) * 1e6 - this.#meanNs) * WEIGHT;
    this.#control[SERVICE_TIME] = Math.min(this.#meanNs, MAX_NS);
  }
}
