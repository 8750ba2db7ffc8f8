/**
 * Main thread. What becomes of those who wait in the backlog, and what those who are refused are told: how fast requests
 * are answered says when it is worth to come again.
 */
import { LidoError } from '../contract/errors.js';
import type { Backlog, Waiting } from './backlog.js';

/** What is needed of a request that waits. */
export interface Impatient extends Waiting {
  /** It is answered with the error, without a word in the log. */
  refuse(error: LidoError): void;
}

/** How often the backlog is looked at while somebody waits, at least and at most. Milliseconds. */
const LONGEST_CHECK_MS = 1000;
const SHORTEST_CHECK_MS = 10;
/** How far back it is looked to tell how fast requests are answered. Milliseconds. */
const WINDOW_MS = 10_000;
/** Who comes later than this finds another state of things anyway. Seconds. */
const LATEST_RETRY = 300;

interface Sample {
  readonly at: number;
  readonly answered: number;
}

export class Patience<J extends Impatient> {
  readonly #backlog: Backlog<J>;
  /** How long a request may wait; 0 for no limit. Milliseconds. */
  readonly #longestMs: number;
  readonly #periodMs: number;
  /** Requests that workers were done with, ever. */
  #answered = 0;
  /** Since the backlog began to fill, at most over the window; none while it is empty. */
  #samples: Sample[] = [];

  constructor(backlog: Backlog<J>, longestMs: number) {
    this.#backlog = backlog;
    this.#longestMs = longestMs;
    const often = longestMs === 0 ? LONGEST_CHECK_MS : longestMs / 10;
    this.#periodMs = Math.max(SHORTEST_CHECK_MS, Math.min(LONGEST_CHECK_MS, often));
  }

  /** A worker is done with a request. */
  countAnswer(): void {
    this.#answered += 1;
  }

  /** The first has begun to wait: returns in how many milliseconds to look(); null where that is under way already. */
  begin(now: number): number | null {
    if (this.#samples.length > 0) return null;
    this.#samples.push({ at: now, answered: this.#answered });
    return this.#periodMs;
  }

  /** Refuses who has waited too long. Returns in how many milliseconds to look again; null where nobody waits. */
  look(now: number): number | null {
    if (this.#longestMs > 0) this.#refuseOverdue(now);
    if (this.#backlog.size === 0) {
      this.#samples = [];
      return null;
    }
    this.#samples = this.#samples.filter(({ at }) => now - at < WINDOW_MS);
    this.#samples.push({ at: now, answered: this.#answered });
    return this.#periodMs;
  }

  /** How many seconds it takes until so many requests are answered, as fast as others were lately; 1 where nobody knows. */
  secondsToAnswer(requests: number, now: number): number {
    const [first] = this.#samples;
    if (first === undefined) return 1;
    const passed = (now - first.at) / 1000;
    const answered = this.#answered - first.answered;
    // Nobody was answered: it takes at least as long again.
    const seconds = answered === 0 ? passed : (requests * passed) / answered;
    return Math.min(LATEST_RETRY, Math.max(1, Math.ceil(seconds)));
  }

  #refuseOverdue(now: number): void {
    const overdue = this.#backlog.takeOlderThan(now - this.#longestMs);
    const retryAfter = this.secondsToAnswer(this.#backlog.size, now);
    for (const job of overdue)
      job.refuse(new LidoError('LIDO_WAITED_TOO_LONG', [this.#longestMs / 1000], { retryAfter }));
  }
}
