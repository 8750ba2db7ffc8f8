/** Main thread. A session's slots: a few control words each, and the exchange that has them. */

import {
  ACKED,
  GONE,
  isClaimed,
  MANNER,
  OFFER,
  recall,
  SLOT_BITS,
  signal,
  slotOf,
  slotWord,
  WINDOW_STEP,
} from '../contract/protocol.js';
import type { Exchange } from './exchange.js';

const MAX_SLOTS = 1 << SLOT_BITS;
const MAX_COUNT = 0x7fffffff >> SLOT_BITS;

/** Requests sent, of all sessions: a thread that has begun a new session must not take an interrupt that was meant for its last. */
let count = 0;

/**
 * What has come of the answer: nothing; its head, so that blocks may follow; its body is whole, or left to a file;
 * something that must not come, so that nothing more is believed but the end.
 */
export type AnswerState = 'awaited' | 'open' | 'whole' | 'broken';

/** One slot. `exchange` is null while it is free. */
export class Slot {
  readonly index: number;
  readonly #control: Int32Array;
  exchange: Exchange | null = null;
  /** Of the request that has the slot; positive, fits an Int32. */
  id = 0;
  /** The request was the session's how manieth, modulo 2^32: the worker claims them in this order. */
  #number = 0;
  answer: AnswerState = 'awaited';
  /** When the application was last seen to be at work, performance.now(); 0 until it is looked at again. */
  lastSign = 0;

  constructor(index: number, control: Int32Array) {
    this.index = index;
    this.#control = control;
  }

  /** Offers the exchange to the worker; the request itself follows, before the next one is offered. */
  offer(exchange: Exchange, id: number, number: number): void {
    this.exchange = exchange;
    this.id = id;
    this.#number = number;
    this.answer = 'awaited';
    this.lastSign = 0;
    Atomics.store(this.#control, slotWord(this.index, ACKED), 0);
    Atomics.store(this.#control, slotWord(this.index, MANNER), 0);
    Atomics.store(this.#control, slotWord(this.index, OFFER), id);
  }

  /** Takes the exchange back unless the worker has claimed it. */
  recall(): boolean {
    return recall(this.#control, this.id, this.#number);
  }

  get isClaimed(): boolean {
    return isClaimed(this.#control, this.#number);
  }

  /** What its request did with the GIL, as MANNER tells it; 0 where nobody measured. */
  get manner(): number {
    return Atomics.load(this.#control, slotWord(this.index, MANNER));
  }

  /** The socket took so many bytes of the response. */
  acknowledge(bytes: number): void {
    const before = Atomics.add(this.#control, slotWord(this.index, ACKED), bytes);
    if (((before ^ (before + bytes)) & -WINDOW_STEP) !== 0) this.signal();
  }

  /** FILE_TAKEN or FILE_REFUSED. */
  answerFile(answer: number): void {
    Atomics.add(this.#control, slotWord(this.index, ACKED), answer);
    this.signal();
  }

  /** Tells the worker to stop: the client is gone, or nothing more is wanted. */
  stop(): void {
    Atomics.store(this.#control, slotWord(this.index, GONE), this.id);
    this.signal();
  }

  signal(): void {
    signal(this.#control, this.index);
  }
}

/**
 * All slots of a session, in an array and used again and again. A Map from ids would leave its old tables behind, each
 * of which keeps the next one and what it held alive until a full collection.
 */
export class Slots {
  readonly #slots: readonly Slot[];
  readonly #free: Slot[];
  /** Requests sent, modulo 2^32. */
  #sent = 0;

  /** `size` is at most 1,024. */
  constructor(size: number, control: Int32Array) {
    if (size > MAX_SLOTS) throw new RangeError(`a session has at most ${MAX_SLOTS} slots, not ${size}`);
    this.#slots = Array.from({ length: size }, (_, index) => new Slot(index, control));
    this.#free = [...this.#slots].reverse();
  }

  /** How many are taken. */
  get taken(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Gives the exchange a free slot; the caller has checked that there is one. */
  take(exchange: Exchange): Slot {
    const slot = this.#free.pop() as Slot;
    count = count === MAX_COUNT ? 1 : count + 1;
    this.#sent = (this.#sent + 1) | 0;
    slot.offer(exchange, (count << SLOT_BITS) | slot.index, this.#sent);
    return slot;
  }

  release(slot: Slot): void {
    slot.exchange = null;
    slot.id = 0;
    this.#free.push(slot);
  }

  /** The slot that a message speaks of, or null when its exchange is over. */
  find(id: number): Slot | null {
    const slot = this.#slots[slotOf(id)];
    return slot !== undefined && slot.id === id && id !== 0 ? slot : null;
  }

  /** The taken slots in the order in which they were taken, which is the order in which the worker claims them. */
  byAge(): Slot[] {
    const taken = this.#slots.filter(({ exchange }) => exchange !== null);
    return taken.sort((first, second) => first.id - second.id);
  }
}
