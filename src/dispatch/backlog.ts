/** Main thread. Requests accepted but not yet given to a worker: first in, first out. */
import type { Exchange } from './exchange.js';

/** A queue; the dispatcher keeps it bounded. An exchange that is given up stays in it until its turn, but no longer counts. */
export class Backlog {
  #queue: (Exchange | null)[] = [];
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(exchange: Exchange): void {
    exchange.wait();
    this.#queue.push(exchange);
    this.#size += 1;
  }

  /** Puts requests that were recalled in front: they have waited longest. */
  putBack(exchanges: readonly Exchange[]): void {
    this.#queue.splice(0, this.#head, ...exchanges);
    this.#head = 0;
    this.#size += exchanges.length;
  }

  /** The next exchange that is still wanted. */
  shift(): Exchange | null {
    while (this.#head < this.#queue.length) {
      const exchange = this.#queue[this.#head] as Exchange;
      // Nothing is left behind that would keep an exchange alive once it is over.
      this.#queue[this.#head] = null;
      this.#head += 1;
      this.#compact();
      if (exchange.state !== 'waiting') continue;
      this.#size -= 1;
      return exchange;
    }
    return null;
  }

  /** An exchange in the backlog was given up. */
  forget(exchange: Exchange): void {
    if (exchange.state !== 'waiting') return;
    exchange.drop();
    this.#size -= 1;
  }

  #compact(): void {
    if (this.#head < 1024 && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}
