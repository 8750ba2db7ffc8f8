/** Main thread. The reader's end of the ring of blocks (see protocol.ts). */
import {
  RING_FREED,
  RING_HEADER,
  RING_SIZE,
  RING_TOLD,
  RING_WRITTEN,
  ringRecordSize,
  STRING_BLOCK_LIMIT,
} from '../contract/protocol.js';
import type { ResponseWriter } from '../http/response-writer.js';

/** Unread bytes of short blocks from which on they are joined: one write to the socket costs more than to copy them. */
const WORTH_JOINING = 4096;

/** A part of the ring, up to `end`, that a socket may still read from. */
interface Lease {
  readonly id: number;
  end: number;
  isOver: boolean;
}

export class RingReader {
  readonly memory = new SharedArrayBuffer(RING_SIZE);
  readonly #bytes = Buffer.from(this.memory);
  readonly #ints = new Int32Array(this.memory);
  readonly #control: Int32Array;
  /** Bytes read, modulo 2^32. */
  #read = 0;
  /** In the ring's order; what lies before the first one is free. */
  readonly #leases: Lease[] = [];

  constructor(control: Int32Array) {
    this.#control = control;
  }

  /** From here on the worker tells of what it writes. Call it before deliver(). */
  listen(): void {
    Atomics.store(this.#control, RING_TOLD, 0);
  }

  /**
   * Gives each block to the writer of its request's response; drops it where that is null. Stops before a block whose
   * head has not come out of the port yet: it is read once that has.
   */
  deliver(writerOf: (id: number) => ResponseWriter | null): void {
    for (let id = this.#peek(); id !== 0; id = this.#peek()) {
      const writer = writerOf(id);
      if (writer === null) this.#skip();
      else if (writer.state === 'unstarted') break;
      else this.#write(writer, id);
    }
  }

  /** No socket reads blocks of this request any more. */
  releaseAll(id: number): void {
    for (const lease of this.#leases) if (lease.id === id) lease.isOver = true;
    this.#free();
  }

  /** Bytes that the worker has written and nobody has read. */
  get #waiting(): number {
    return (Atomics.load(this.#control, RING_WRITTEN) - this.#read) >>> 0;
  }

  /** The id that the next block belongs to; 0 when there is none. */
  #peek(): number {
    if (this.#waiting === 0) return 0;
    const id = this.#ints[this.#offset >> 2] as number;
    if (id !== 0) return id;
    this.#read = (this.#read + RING_SIZE - this.#offset) >>> 0;
    return this.#ints[0] as number;
  }

  #skip(): void {
    this.#advance();
    this.#free();
  }

  /** A long block is written from where it lies. */
  #write(writer: ResponseWriter, id: number): void {
    if (this.#nextLength <= STRING_BLOCK_LIMIT) {
      this.#writeText(writer, id);
      return;
    }
    const start = this.#offset + RING_HEADER;
    const end = start + this.#advance();
    const lease: Lease = { id, end: this.#read, isOver: false };
    this.#leases.push(lease);
    writer.writeBlock(this.#bytes.subarray(start, end), () => {
      lease.isOver = true;
      this.#free();
    });
  }

  /** Short blocks go out one by one, or as one text where many have piled up. */
  #writeText(writer: ResponseWriter, id: number): void {
    const most = this.#waiting < WORTH_JOINING ? 0 : STRING_BLOCK_LIMIT;
    let text = '';
    do {
      const start = this.#offset + RING_HEADER;
      text += this.#bytes.toString('latin1', start, start + this.#advance());
    } while (this.#peek() === id && text.length + this.#nextLength <= most);
    this.#free();
    writer.writeBlock(text);
  }

  get #offset(): number {
    return this.#read & (RING_SIZE - 1);
  }

  /** The length of the block that is read next, where there is one. */
  get #nextLength(): number {
    return this.#ints[(this.#offset >> 2) + 1] as number;
  }

  /** Goes on to the next block; returns the length of the one that is passed. */
  #advance(): number {
    const length = this.#nextLength;
    this.#read = (this.#read + ringRecordSize(length)) >>> 0;
    return length;
  }

  /** Tells the worker how far the ring is free; what was copied out lies behind the last lease, and goes with it. */
  #free(): void {
    while (this.#leases[0]?.isOver === true) {
      const { end } = this.#leases.shift() as Lease;
      Atomics.store(this.#control, RING_FREED, end);
    }
    if (this.#leases.length === 0) Atomics.store(this.#control, RING_FREED, this.#read);
  }
}
