/** Main thread. The reading end of a session's ring of answers (see contract/ring.ts). */
import { countGarbage } from '../contract/garbage.js';
import {
  ANSWERS_FREED,
  ANSWERS_WRITTEN,
  type FromWorker,
  IS_HELD_UP,
  STRING_BLOCK_LIMIT,
  TOLD,
} from '../contract/protocol.js';
import {
  ACCEPT,
  ANSWERS_SIZE,
  BINARY,
  BLOCK,
  CLOSED,
  END,
  HEAD,
  MESSAGE,
  PART,
  RECORD_HEADER,
  RESPONSE,
  ROOM,
  recordSize,
  SKIP,
  TEXT,
  WHOLE,
} from '../contract/ring.js';
import type { Inbox } from './inbox.js';

/** Unread bytes of short blocks from which on they are joined: one write to the socket costs more than to copy them. */
const WORTH_JOINING = 4096;

/** A part of the ring, up to `end`, that a socket may still read from. */
interface Lease {
  readonly id: number;
  end: number;
  isOver: boolean;
}

/** Takes a message. `giveBack` is there where the block lies in the ring: it is called once nobody reads that any more. */
export type TakeMessage = (message: FromWorker, giveBack?: () => void) => void;

export class RingReader {
  readonly memory = new SharedArrayBuffer(ANSWERS_SIZE);
  readonly #bytes = Buffer.from(this.memory);
  readonly #ints = new Int32Array(this.memory);
  readonly #control: Int32Array;
  /** Bytes read, modulo 2^32. */
  #read = 0;
  /** How far the ring was written when deliver() looked. */
  #end = 0;
  /** In the ring's order; what lies before the first one is free. */
  readonly #leases: Lease[] = [];
  readonly #inbox: Pick<Inbox, 'put'> | null;

  /**
   * Long blocks stay in the ring until their client has taken them; but not those of a worker that runs a loop, whose `inbox` this
   * is: the ring would be full of one request's. Such a worker waits for room without blocking, and is told of it.
   */
  constructor(control: Int32Array, inbox: Pick<Inbox, 'put'> | null = null) {
    this.#control = control;
    this.#inbox = inbox;
  }

  /**
   * A JavaScript worker's message has come. TOLD is stored before deliver() reads ANSWERS_WRITTEN, and the worker stores
   * ANSWERS_WRITTEN before it reads TOLD: either deliver() sees the record, or the worker sees that it has to tell.
   */
  hear(): void {
    Atomics.store(this.#control, TOLD, 0);
  }

  /** Takes what is in the ring by now, and no more: a worker may write as fast as this reads. */
  deliver(take: TakeMessage): void {
    if (!this.#hasNews) return;
    this.#end = Atomics.load(this.#control, ANSWERS_WRITTEN);
    while (this.#waiting !== 0) this.#takeOne(take);
    this.#free();
    if (this.#inbox !== null && Atomics.exchange(this.#control, IS_HELD_UP, 0) === 1)
      this.#inbox.put(ROOM, 0);
  }

  get #hasNews(): boolean {
    const isHeldUp = this.#inbox !== null && Atomics.load(this.#control, IS_HELD_UP) === 1;
    return isHeldUp || Atomics.load(this.#control, ANSWERS_WRITTEN) !== (this.#read | 0);
  }

  /** No socket reads blocks of this request any more. */
  releaseAll(id: number): void {
    for (const lease of this.#leases) if (lease.id === id) lease.isOver = true;
    this.#free();
  }

  #takeOne(take: TakeMessage): void {
    const at = this.#offset;
    const header = at >> 2;
    const kind = this.#ints[header] as number;
    if (kind === SKIP) {
      this.#read = (this.#read + ANSWERS_SIZE - at) >>> 0;
      return;
    }
    const id = this.#ints[header + 1] as number;
    const firstLength = this.#ints[header + 2] as number;
    const secondLength = this.#ints[header + 3] as number;
    const first = at + RECORD_HEADER;
    const second = first + firstLength;
    this.#read = (this.#read + recordSize(firstLength + secondLength)) >>> 0;
    switch (kind) {
      case RESPONSE:
      case HEAD:
        take([
          kind === HEAD ? 'head' : 'response',
          id,
          this.#text(first, second),
          this.#text(second, second + secondLength),
        ]);
        return;
      case BLOCK:
        if (secondLength > STRING_BLOCK_LIMIT) this.#takeLong(id, second, second + secondLength, take);
        else take(['block', id, this.#join(id, this.#text(second, second + secondLength))]);
        return;
      case WHOLE:
        take(['whole', id]);
        return;
      case END:
        take(['end', id]);
        return;
      case ACCEPT:
        take(['accept', id, this.#text(first, second)]);
        return;
      case TEXT:
      case BINARY:
        take(['message', id, kind === TEXT, this.#copy(second, secondLength)]);
        return;
      case PART:
        take(['part', id, this.#copy(second, secondLength)]);
        return;
      case CLOSED:
        take(['close', id, Number(this.#text(first, second)), this.#copy(second, secondLength).toString()]);
        return;
      case MESSAGE:
        take(JSON.parse(this.#bytes.toString('utf8', second, second + secondLength)) as FromWorker);
    }
  }

  /** A long block is written from where it lies, or copied. */
  #takeLong(id: number, start: number, end: number, take: TakeMessage): void {
    if (this.#inbox !== null) {
      take(['block', id, Buffer.from(this.#bytes.subarray(start, end))]);
      countGarbage(end - start);
      return;
    }
    const lease: Lease = { id, end: this.#read, isOver: false };
    this.#leases.push(lease);
    take(['block', id, this.#bytes.subarray(start, end)], () => {
      lease.isOver = true;
      this.#free();
    });
  }

  /** Short blocks go out one by one, or as one text where many have piled up. */
  #join(id: number, first: string): string {
    let text = first;
    if (this.#waiting < WORTH_JOINING) return text;
    while (this.#waiting !== 0) {
      const at = this.#offset;
      const header = at >> 2;
      const length = this.#ints[header + 3] as number;
      const isNext = this.#ints[header] === BLOCK && this.#ints[header + 1] === id;
      if (!isNext || text.length + length > STRING_BLOCK_LIMIT) break;
      text += this.#text(at + RECORD_HEADER, at + RECORD_HEADER + length);
      this.#read = (this.#read + recordSize(length)) >>> 0;
    }
    return text;
  }

  #copy(start: number, length: number): Buffer {
    return Buffer.from(this.#bytes.subarray(start, start + length));
  }

  #text(start: number, end: number): string {
    return start === end ? '' : this.#bytes.toString('latin1', start, end);
  }

  /** Bytes that deliver() has yet to read. */
  get #waiting(): number {
    return (this.#end - this.#read) >>> 0;
  }

  get #offset(): number {
    return this.#read & (ANSWERS_SIZE - 1);
  }

  /** Tells the worker how far the ring is free; what was copied out lies behind the last lease, and goes with it. */
  #free(): void {
    while (this.#leases[0]?.isOver === true) {
      const { end } = this.#leases.shift() as Lease;
      Atomics.store(this.#control, ANSWERS_FREED, end);
    }
    if (this.#leases.length === 0) Atomics.store(this.#control, ANSWERS_FREED, this.#read);
  }
}
