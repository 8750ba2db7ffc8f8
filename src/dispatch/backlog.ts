/** Main thread. Requests accepted but not yet given to a worker: first in, first out. */

/** What the backlog needs of a request. */
export interface Waiting {
  readonly state: string;
  /** When it began to wait, by the dispatcher's clock; 0 before. */
  waitingSince: number;
  /** It begins to wait. */
  wait(): void;
  /** It is not wanted any more. */
  drop(): void;
}

/** So many requests are looked at for one that may be sent while those before it may not. */
const MAX_SEARCHED = 64;

/** A queue; the dispatcher keeps it bounded. A request that is given up stays in it until its turn, but no longer counts. */
export class Backlog<J extends Waiting> {
  #queue: (J | null)[] = [];
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The one that has waited longest; null where none waits. */
  get oldest(): J | null {
    for (let index = this.#head; index < this.#queue.length; index += 1) {
      const job = this.#queue[index];
      if (isWanted(job)) return job;
    }
    return null;
  }

  push(job: J, now: number): void {
    job.wait();
    job.waitingSince = now;
    this.#queue.push(job);
    this.#size += 1;
  }

  /** Puts requests that were recalled, and so wait already, in front: they have waited longest. */
  putBack(jobs: readonly J[], now: number): void {
    for (const job of jobs) if (job.waitingSince === 0) job.waitingSince = now;
    this.#queue.splice(0, this.#head, ...jobs);
    this.#head = 0;
    this.#size += jobs.length;
  }

  /** The next request that is still wanted. */
  shift(): J | null {
    return this.take(() => true);
  }

  /** The first request that is still wanted, and `fits`. */
  take(fits: (job: J) => boolean): J | null {
    this.#skipOver();
    const end = Math.min(this.#queue.length, this.#head + MAX_SEARCHED);
    for (let index = this.#head; index < end; index += 1) {
      const job = this.#queue[index];
      if (!isWanted(job) || !fits(job)) continue;
      // Nothing is left behind that would keep a request alive once it is over.
      this.#queue[index] = null;
      this.#size -= 1;
      this.#skipOver();
      return job;
    }
    return null;
  }

  /** All that have waited since then or longer; they are no longer in it. */
  takeOlderThan(since: number): J[] {
    const old: J[] = [];
    for (let index = this.#head; index < this.#queue.length; index += 1) {
      const job = this.#queue[index];
      if (!isWanted(job) || job.waitingSince > since) continue;
      this.#queue[index] = null;
      old.push(job);
    }
    this.#size -= old.length;
    this.#skipOver();
    return old;
  }

  /** A request in the backlog was given up. */
  forget(job: J): void {
    if (job.state !== 'waiting') return;
    job.drop();
    this.#size -= 1;
  }

  /** Passes by what is gone from the front. */
  #skipOver(): void {
    while (this.#head < this.#queue.length && !isWanted(this.#queue[this.#head])) {
      this.#queue[this.#head] = null;
      this.#head += 1;
    }
    if (this.#head < 1024 && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}

function isWanted<J extends Waiting>(job: J | null | undefined): job is J {
  return job?.state === 'waiting';
}
