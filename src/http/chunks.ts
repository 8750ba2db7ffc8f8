/** Main thread. Bytes in the order in which they came; a million tiny pieces take no more room than one of their size. */
import { BLOCK_SIZE, takeBlock } from './blocks.js';

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
  /** Where small pieces are gathered, or what room() gave: the last of the queue lies in it, between these two. */
  #slab: Buffer | null = null;
  #from = 0;
  #filled = 0;

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of a block that are free. */
  get spare(): number {
    return this.#slab?.length === BLOCK_SIZE ? BLOCK_SIZE - this.#filled : 0;
  }

  /** Where the next bytes may be put before they are pushed: then they are not copied. The rest of a block. */
  room(): Buffer {
    if (this.#slab?.length !== BLOCK_SIZE) this.#moveToBlocks();
    if (this.spare === 0) this.#openSlab(takeBlock());
    return (this.#slab as Buffer).subarray(this.#filled);
  }

  /** What is here already goes ahead in the same blocks, so that all but the last are full. */
  #moveToBlocks(): void {
    for (const chunk of this.takeAll())
      for (let start = 0; start < chunk.length; ) {
        if (this.spare === 0) this.#openSlab(takeBlock());
        const part = chunk.subarray(start, start + this.spare);
        (this.#slab as Buffer).set(part, this.#filled);
        this.#length += part.length;
        this.#extend(part.length);
        start += part.length;
      }
  }

  /** Adds bytes, which are not to be changed any more. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#length += chunk.length;
    if (this.#isInRoom(chunk)) this.#extend(chunk.length);
    else if (chunk.length < SMALL && this.#head < this.#queue.length) this.#gather(chunk);
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

  /** All pieces but a block that is being filled, unless that is all there is. */
  takeFull(): Uint8Array[] {
    const isFilling = this.spare > 0 && this.#filled > this.#from;
    if (!isFilling || this.#queue.length - this.#head < 2) return this.takeAll();
    const all = this.all();
    const last = all.pop() as Uint8Array;
    this.#queue = [last];
    this.#head = 0;
    this.#length = last.length;
    return all;
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
    // Whoever was given room may be about to write to it.
    if (slab === null || slab.length === BLOCK_SIZE || this.#filled + chunk.length > slab.length) {
      const size = slab === null ? FIRST_SLAB : Math.min(slab.length * 2, LAST_SLAB);
      slab = Buffer.allocUnsafeSlow(Math.max(size, chunk.length));
      this.#openSlab(slab);
    }
    slab.set(chunk, this.#filled);
    this.#extend(chunk.length);
  }

  #openSlab(slab: Buffer): void {
    this.#slab = slab;
    this.#from = 0;
    this.#filled = 0;
  }

  #isInRoom({ buffer, byteOffset }: Uint8Array): boolean {
    const slab = this.#slab;
    return slab !== null && slab.buffer === buffer && slab.byteOffset + this.#filled === byteOffset;
  }

  /** The last piece has so many bytes more. */
  #extend(bytes: number): void {
    const slab = this.#slab as Buffer;
    const isNew = this.#filled === this.#from;
    this.#filled += bytes;
    const piece = slab.subarray(this.#from, this.#filled);
    if (isNew) this.#queue.push(piece);
    else this.#queue[this.#queue.length - 1] = piece;
  }

  #compact(): void {
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #empty(): void {
    this.#queue = [];
    this.#head = 0;
    // What is left of a block goes on to be filled.
    if (this.spare > 0) this.#from = this.#filled;
    else this.#slab = null;
  }
}
