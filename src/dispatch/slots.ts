/** Main thread. A session's slots: a few control words each, and the exchange that has them. */

import {
  ACKED,
  GONE,
  isClaimed,
  LOOP_SLOT_BITS,
  MANNER,
  OFFER,
  recall,
  SLOT_BITS,
  signal,
  slotWord,
  WAITS,
  WINDOW_STEP,
} from '../contract/protocol.js';
import { LEFT, ROOM } from '../contract/ring.js';
import type { Exchange } from './exchange.js';
import type { Inbox } from './inbox.js';

/** Requests sent, of all sessions: a thread that has begun a new session must not take an interrupt that was meant for its last. */
let count = 0;
const MAX_COUNT = 0x7fffffff >> SLOT_BITS;

/**
 * What has come of the answer: nothing; its head, so that blocks may follow; its body is whole, or left to a file;
 * something that must not come, so that nothing more is believed but the end.
 */
export type AnswerState = 'awaited' | 'open' | 'whole' | 'broken';

/** One slot. `exchange` is null while it is free. */
export class Slot {
  readonly index: number;
  protected readonly control: Int32Array;
  exchange: Exchange | null = null;
  /** Of the request that has the slot; positive, fits an Int32. */
  id = 0;
  /** The request was the session's how manieth, modulo 2^32: the worker claims them in this order. */
  number = 0;
  answer: AnswerState = 'awaited';
  /** When the application was last seen to be at work, performance.now(); 0 until it is looked at again. */
  lastSign = 0;

  constructor(index: number, control: Int32Array) {
    this.index = index;
    this.control = control;
  }

  /** Offers the exchange to the worker; the request itself follows, before the next one is offered. */
  offer(exchange: Exchange, id: number, number: number): void {
    this.exchange = exchange;
    this.id = id;
    this.number = number;
    this.answer = 'awaited';
    this.lastSign = 0;
    Atomics.store(this.control, slotWord(this.index, ACKED), 0);
    // An id comes back after so many requests, and must not find what was said of the one before.
    Atomics.store(this.control, slotWord(this.index, GONE), 0);
    Atomics.store(this.control, slotWord(this.index, MANNER), 0);
    Atomics.store(this.control, slotWord(this.index, OFFER), id);
  }

  /** Takes the exchange back unless the worker has claimed it. */
  recall(): boolean {
    return recall(this.control, this.index, this.id, this.number);
  }

  get isClaimed(): boolean {
    return isClaimed(this.control, this.number);
  }

  /** What its request did with the GIL, as MANNER tells it; 0 where nobody measured. */
  get manner(): number {
    return Atomics.load(this.control, slotWord(this.index, MANNER));
  }

  /** The socket took so many bytes of the response. */
  acknowledge(bytes: number): void {
    const before = Atomics.add(this.control, slotWord(this.index, ACKED), bytes);
    if (((before ^ (before + bytes)) & -WINDOW_STEP) !== 0) this.signal();
  }

  /** FILE_TAKEN or FILE_REFUSED. */
  answerFile(answer: number): void {
    Atomics.add(this.control, slotWord(this.index, ACKED), answer);
    this.signal();
  }

  /** Tells the worker to stop: the client is gone, or nothing more is wanted. */
  stop(): void {
    Atomics.store(this.control, slotWord(this.index, GONE), this.id);
    this.signal();
  }

  signal(): void {
    signal(this.control, this.index);
  }
}

/** A slot of a worker that runs a loop. What a blocked thread is signalled, the loop is told. */
export class LoopSlot extends Slot {
  readonly #inbox: Inbox;

  constructor(index: number, control: Int32Array, inbox: Inbox) {
    super(index, control);
    this.#inbox = inbox;
  }

  override acknowledge(bytes: number): void {
    Atomics.add(this.control, slotWord(this.index, ACKED), bytes);
    this.signal();
  }

  override stop(): void {
    super.stop();
    this.#inbox.put(LEFT, this.id);
  }

  /** Tells the loop only where the request waits for something in its words. */
  override signal(): void {
    const word = slotWord(this.index, WAITS);
    if (Atomics.load(this.control, word) !== this.id) return;
    Atomics.store(this.control, word, 0);
    this.#inbox.put(ROOM, this.id);
  }
}

/**
 * All slots of a session, in an array and used again and again. A Map from ids would leave its old tables behind, each
 * of which keeps the next one and what it held alive until a full collection.
 */
export class Slots {
  readonly #slots: readonly Slot[];
  readonly #free: Slot[];
  readonly #bits: number;
  /** Requests sent, modulo 2^32. */
  #sent = 0;

  /** `size` is at most 1,024; 16,384 for a worker that runs a loop, whose `inbox` this is. */
  constructor(size: number, control: Int32Array, inbox: Inbox | null = null) {
    this.#bits = inbox === null ? SLOT_BITS : LOOP_SLOT_BITS;
    const most = 1 << this.#bits;
    if (size > most) throw new RangeError(`a session has at most ${most} slots, not ${size}`);
    const make = (index: number) =>
      inbox === null ? new Slot(index, control) : new LoopSlot(index, control, inbox);
    this.#slots = Array.from({ length: size }, (_, index) => make(index));
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
    slot.offer(exchange, this.#name(slot.index), this.#sent);
    return slot;
  }

  release(slot: Slot): void {
    slot.exchange = null;
    slot.id = 0;
    this.#free.push(slot);
  }

  /** The slot that a message speaks of, or null when its exchange is over. */
  find(id: number): Slot | null {
    const slot = this.#slots[id & ((1 << this.#bits) - 1)];
    return slot !== undefined && slot.id === id && id !== 0 ? slot : null;
  }

  /** Of the count go as many bits in as are left, and never none: 0 is no id. */
  #name(index: number): number {
    const most = 0x7fffffff >> this.#bits;
    return (((count - 1) % most) + 1) * (1 << this.#bits) + index;
  }

  /**
   * The exchange whose application has been at work for longer than `limitMs` without a sign: no head, no block, no
   * read. Waiting for the client, to read on or to send on, is not the application's time.
   */
  findOverdue(now: number, limitMs: number): Exchange | null {
    for (const slot of this.byAge()) {
      const { exchange } = slot;
      if (exchange === null) continue;
      const waits = exchange.writer.isBlocked || exchange.body.isFlowing;
      if (!slot.isClaimed) slot.lastSign = 0;
      else if (slot.lastSign === 0 || waits) slot.lastSign = now;
      else if (now - slot.lastSign >= limitMs) return exchange;
    }
    return null;
  }

  /** The taken slots, in no order. */
  listTaken(): Slot[] {
    return this.#slots.filter(({ exchange }) => exchange !== null);
  }

  /** The taken slots in the order in which they were taken, which is the order in which the worker claims them. */
  byAge(): Slot[] {
    return this.listTaken().sort((first, second) => (first.number - second.number) | 0);
  }
}
