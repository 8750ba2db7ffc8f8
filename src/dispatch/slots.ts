/** Main thread. The places in a session's control words, and the exchanges that have them. */

import { ACKED, CLAIM, GONE, recall, signal, slotWord, WINDOW_STEP } from '../contract/protocol.js';
import type { Exchange } from './exchange.js';

/** An id holds its place's number in its low bits and a count above them, so that a late message finds a stranger. */
const SLOT_BITS = 10;
const MAX_SLOTS = 1 << SLOT_BITS;
const MAX_TENANCIES = 0x7fffffff >> SLOT_BITS;

/** Of all sessions: a thread that has begun a new one must not take an interrupt that was meant for its last. */
let tenancies = 0;

/** One place. `exchange` is null while it is free. */
export class Place {
  readonly slot: number;
  readonly #control: Int32Array;
  exchange: Exchange | null = null;
  /** Of this tenancy; positive, fits an Int32. */
  id = 0;
  /** When the application was last seen to be at work, performance.now(); 0 until it is looked at again. */
  lastSign = 0;

  constructor(slot: number, control: Int32Array) {
    this.slot = slot;
    this.#control = control;
  }

  /** Offers the exchange to the worker; the message with the request follows. */
  offer(exchange: Exchange, id: number): void {
    this.exchange = exchange;
    this.id = id;
    this.lastSign = 0;
    Atomics.store(this.#control, slotWord(this.slot, ACKED), 0);
    Atomics.store(this.#control, slotWord(this.slot, CLAIM), id);
  }

  /** Takes the exchange back unless the worker has claimed it. */
  recall(): boolean {
    return recall(this.#control, this.slot, this.id);
  }

  get isClaimed(): boolean {
    return Atomics.load(this.#control, slotWord(this.slot, CLAIM)) === -this.id;
  }

  /** The socket took so many bytes of the response. */
  acknowledge(bytes: number): void {
    const before = Atomics.add(this.#control, slotWord(this.slot, ACKED), bytes);
    if (((before ^ (before + bytes)) & -WINDOW_STEP) !== 0) this.signal();
  }

  /** FILE_TAKEN or FILE_REFUSED. */
  answerFile(answer: number): void {
    Atomics.add(this.#control, slotWord(this.slot, ACKED), answer);
    this.signal();
  }

  /** Tells the worker to stop: the client is gone, or nothing more is wanted. */
  stop(): void {
    Atomics.store(this.#control, slotWord(this.slot, GONE), this.id);
    this.signal();
  }

  signal(): void {
    signal(this.#control, this.slot);
  }
}

/**
 * All places of a session, in an array and used again and again. A Map from ids would leave its old tables behind, each
 * of which keeps the next one and what it held alive until a full collection.
 */
export class Places {
  readonly #places: readonly Place[];
  readonly #free: Place[];

  /** `count` is at most 1,024. */
  constructor(count: number, control: Int32Array) {
    if (count > MAX_SLOTS) throw new RangeError(`a session has at most ${MAX_SLOTS} places, not ${count}`);
    this.#places = Array.from({ length: count }, (_, slot) => new Place(slot, control));
    this.#free = [...this.#places].reverse();
  }

  /** How many are taken. */
  get taken(): number {
    return this.#places.length - this.#free.length;
  }

  /** Gives the exchange a free place; the caller has checked that there is one. */
  take(exchange: Exchange): Place {
    const place = this.#free.pop() as Place;
    tenancies = tenancies === MAX_TENANCIES ? 1 : tenancies + 1;
    place.offer(exchange, (tenancies << SLOT_BITS) | place.slot);
    return place;
  }

  release(place: Place): void {
    place.exchange = null;
    place.id = 0;
    this.#free.push(place);
  }

  /** The place that a message speaks of, or null when its exchange is over. */
  find(id: number): Place | null {
    const place = this.#places[id & (MAX_SLOTS - 1)];
    return place !== undefined && place.id === id && id !== 0 ? place : null;
  }

  /** The taken places in the order in which they were taken, which is the order in which the worker claims them. */
  byAge(): Place[] {
    const taken = this.#places.filter(({ exchange }) => exchange !== null);
    return taken.sort((first, second) => first.id - second.id);
  }
}
