// Worker thread. [7] What a worker says to the main thread: through the ring of answers while that has room, else by message.
import type { MessagePort, Transferable } from 'node:worker_threads';
import { ANSWERS_FREED, ANSWERS_WRITTEN, type FromWorker, TOLD } from '../src/contract/protocol.js';
import { RingWriter } from '../src/contract/ring.js';

export const ANSWER_WORDS = { written: ANSWERS_WRITTEN, freed: ANSWERS_FREED };

/** One session's way to the main thread. */
export class Answers {
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  /** Null in a worker that runs several requests at once. */
  readonly #ring: RingWriter | null;

  constructor(port: MessagePort, control: Int32Array, memory: SharedArrayBuffer | null) {
    this.#port = port;
    this.#control = control;
    this.#ring = memory === null ? null : new RingWriter(memory, control, ANSWER_WORDS);
  }

  /** Puts a record into the ring; false when there is none, or no room. */
  put(kind: number, id: number, first: string | Uint8Array, second: string | Uint8Array): boolean {
    if (this.#ring?.put(kind, id, first, second) !== true) return false;
    tell(this.#port, this.#control);
    return true;
  }

  post(message: FromWorker, transfer?: Transferable[]): void {
    this.#port.postMessage(message, transfer);
  }
}

/**
 * Wakes the main thread, unless it has been told and has not looked yet. Call it after ANSWERS_WRITTEN was stored: the main
 * thread stores TOLD before it reads that.
 */
export function tell(port: MessagePort, control: Int32Array): void {
  if (Atomics.exchange(control, TOLD, 1) === 1) return;
  port.postMessage(['answers'] satisfies FromWorker);
}
