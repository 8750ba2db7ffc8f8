/** Main thread. Takes a request's body off its connection: a counted one, or one that comes in chunks. */
import type { Refusal } from '../gate.js';

/** Reads one body. What it gives lies in the packet that it was given, and is good for as long as that is. */
export interface BodyReader {
  /** True once nothing more belongs to the body. */
  readonly isWhole: boolean;
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
  #left: number;
  taken: Buffer | null = null;
  readonly refusal = null;
  readonly trailers = [];

  constructor(length: number) {
    this.#left = length;
  }

  get isWhole(): boolean {
    return this.#left === 0;
  }

  read(packet: Buffer, start: number): number {
    const end = Math.min(packet.length, start + this.#left);
    this.#left -= end - start;
    // A packet that is all body keeps its buffer to itself, and can change threads.
    this.taken = start === 0 && end === packet.length ? packet : packet.subarray(start, end);
    return end;
  }
}
