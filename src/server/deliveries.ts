/** Main thread of the supervisor. Connections on their way to one process, which are the supervisor's until the process has them. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Luggage } from '../http/departure.js';

/** A process that has not taken a connection for so long stands still: one that was stopped, or gets no processor. Milliseconds. */
const TAKING_PATIENCE_MS = 500;
/** A process to which one did not come, for want of a descriptor, is given others last for so long. Milliseconds. */
const LOSS_PAUSE_MS = 1000;

/** A connection, and the index of the address it came to. */
export interface Arrival {
  readonly index: number;
  readonly socket: Socket;
  /** What a process has read of it that could not serve it soon; null where none has. */
  readonly luggage: Luggage | null;
}

/** Sends one, with how many were given out behind it by the time its message is written. */
export type SendArrival = (arrival: Arrival, id: number, behind: { toJSON(): number }) => void;

export class Deliveries {
  readonly #send: SendArrival;
  /** In the order in which they were given, which is that in which they are taken. */
  readonly #untaken = new Map<number, { readonly arrival: Arrival; readonly at: number }>();
  #given = 0;
  /** The one that was sent last; those behind it wait until the process has said whether it came. */
  #travelling = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  /** Told when there is one less on its way. */
  #onceFewer: () => void = () => {};

  constructor(send: SendArrival) {
    this.#send = send;
  }

  /** How many were given out so far. */
  get given(): number {
    return this.#given;
  }

  /** How many are on their way. */
  get count(): number {
    return this.#untaken.size;
  }

  /** What is given now would not be taken soon. */
  get areHeldUp(): boolean {
    const now = performance.now();
    const [oldest] = this.#untaken.values();
    return (
      (oldest !== undefined && now - oldest.at > TAKING_PATIENCE_MS) || now - this.#lostAt < LOSS_PAUSE_MS
    );
  }

  give(arrival: Arrival): void {
    this.#given += 1;
    const id = this.#given;
    this.#untaken.set(id, { arrival, at: performance.now() });
    // Node sends one socket at a time, and makes its message's text only then: those behind it may have come meanwhile.
    const toJSON = () => {
      this.#travelling = id;
      return this.#given - id;
    };
    this.#send(arrival, id, { toJSON });
  }

  /** The process has it. Only the supervisor's hold of it ends: the connection goes on there. */
  letGo(id: number): void {
    this.#untaken.get(id)?.arrival.socket.destroy();
    this.#remove(id);
  }

  /** What was sent last did not come to the process. Null where that was no connection. */
  lose(): Arrival | null {
    const arrival = this.#untaken.get(this.#travelling)?.arrival ?? null;
    this.#remove(this.#travelling);
    if (arrival !== null) this.#lostAt = performance.now();
    return arrival;
  }

  /** All that will not be taken any more: they are for others. */
  takeBack(): readonly Arrival[] {
    const arrivals = [...this.#untaken.values()].map(({ arrival }) => arrival);
    this.#untaken.clear();
    return arrivals;
  }

  /** Resolves once none is on its way, or after so long. */
  async settle(longestMs: number, ended: Promise<unknown>): Promise<void> {
    const over = Promise.race([ended, sleep(longestMs, null, { ref: false })]).then(() => false);
    const fewer = () =>
      new Promise<true>((resolve) => {
        this.#onceFewer = () => resolve(true);
      });
    while (this.#untaken.size > 0) if (!(await Promise.race([over, fewer()]))) return;
  }

  #remove(id: number): void {
    if (this.#untaken.delete(id)) this.#onceFewer();
  }
}
