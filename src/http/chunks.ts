/** Main thread. Bytes in the order in which they came; a million tiny pieces take no more room than one of their size. */

/** A piece that is smaller is copied behind the one before it. Bytes. */
const SMALL = 4096;
/** Room for small pieces doubles from the first to the second, so that a few of them do not take a lot. Bytes. */
const FIRST_SLAB = 1024;
const LAST_SLAB = 64 * 1024;

/** Places of pieces that were taken, before the others move up. */
const MOST_TAKEN = 1024;
const NOTHING = new Uint8Array(0);

export class Chunks {
  #queue: Uint8Array[] = [];
  #head = 0;
  #length = 0;
  /** Where small pieces are gathered: the last of the queue lies at its start. */
  #slab: Buffer | null = null;
  #filled = 0;

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** Adds bytes, which are not to be changed any more. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#length += chunk.length;
    if (chunk.length < SMALL && this.#head < this.#queue.length) this.#gather(chunk);
    else this.#append(chunk);
  }

  /** The first piece; null where there is none. */
  shift(): Uint8Array | null {
    const chunk = this.#queue[this.#head];
    if (chunk === undefined) return null;
    this.#queue[this.#head] = NOTHING;
    this.#head += 1;
    this.#length -= chunk.length;
    if (this.#head === this.#queue.length) this.#empty();
    else if (this.#head >= MOST_TAKEN) this.#compact();
    return chunk;
  }

  /** All pieces; none is left. */
  takeAll(): Uint8Array[] {
    const all = this.all();
    this.#length = 0;
    this.#empty();
    return all;
  }

  /** All pieces; they stay here. */
  all(): Uint8Array[] {
    return this.#queue.slice(this.#head);
  }

  /** All of it as latin-1 text; it stays here. */
  asText(): string {
    return Buffer.concat(this.all()).toString('latin1');
  }

  /** Puts pieces before the others. */
  putBack(chunks: readonly Uint8Array[]): void {
    const all = [...chunks, ...this.takeAll()];
    for (const chunk of all) {
      this.#length += chunk.length;
      this.#append(chunk);
    }
  }

  #append(chunk: Uint8Array): void {
    this.#queue.push(chunk);
    this.#slab = null;
  }

  #gather(chunk: Uint8Array): void {
    let slab = this.#slab;
    if (slab === null || this.#filled + chunk.length > slab.length) {
      const size = slab === null ? FIRST_SLAB : Math.min(slab.length * 2, LAST_SLAB);
      slab = Buffer.allocUnsafeSlow(Math.max(size, chunk.length));
      this.#slab = slab;
      this.#filled = 0;
      this.#queue.push(slab.subarray(0, 0));
    }
    slab.set(chunk, this.#filled);
    this.#filled += chunk.length;
    this.#queue[this.#queue.length - 1] = slab.subarray(0, this.#filled);
  }

  #compact(): void {
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #empty(): void {
    this.#queue = [];
    this.#head = 0;
    this.#slab = null;
  }
}
