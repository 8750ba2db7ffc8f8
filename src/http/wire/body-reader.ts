/** Main thread. Takes a request's body off its connection: a counted one, or one that comes in chunks. */
import type { Refusal } from '../gate.js';

/** So much is worth a way of its own. Bytes. */
const LONG = 512 * 1024;
/** Who has sent so much is no slow client: a block of memory is kept for what it sends next. Bytes. */
const QUICK = 256 * 1024;

/** Reads one body. What it gives lies in the packet that it was given, and is good for as long as that is. */
export interface BodyReader {
  /** True once nothing more belongs to the body. */
  readonly isWhole: boolean;
  /** Bytes that are still to come where they are many, and their client is quick; else 0. */
  readonly longRest: number;
  /** What is no body. */
  readonly refusal: Refusal | null;
  /** The names of the fields in the trailer. */
  readonly trailers: readonly string[];
  /** The part of the body that the last read() took; null where that was none. */
  readonly taken: Buffer | null;
  /** Reads on from `start`; returns where it stopped: behind the body, or at the packet's end. */
  read(packet: Buffer, start: number): number;
}

/** RFC 9112, section 6.2. */
export class CountedBody implements BodyReader {
  readonly #length: number;
  #left: number;
  taken: Buffer | null = null;
  readonly refusal = null;
  readonly trailers = [];

  constructor(length: number) {
    this.#length = length;
    this.#left = length;
  }

  get isWhole(): boolean {
    return this.#left === 0;
  }

  get longRest(): number {
    return this.#left >= LONG && this.#length - this.#left >= QUICK ? this.#left : 0;
  }

  read(packet: Buffer, start: number): number {
    const end = Math.min(packet.length, start + this.#left);
    this.#left -= end - start;
    // A packet that is all body keeps its buffer to itself, and can change threads.
    this.taken = start === 0 && end === packet.length ? packet : packet.subarray(start, end);
    return end;
  }
}
