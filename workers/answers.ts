// Worker thread. [7] What a worker says to the main thread: through the ring of answers while that has room, else by message.
import type { MessagePort, Transferable } from 'node:worker_threads';
import { ANSWERS_FREED, ANSWERS_WRITTEN, type FromWorker, TOLD } from '../src/contract/protocol.js';
import { END, RESPONSE, RingWriter } from '../src/contract/ring.js';

export const ANSWER_WORDS = { written: ANSWERS_WRITTEN, freed: ANSWERS_FREED };

/** One session's way to the main thread. */
export class Answers {
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  /** Null in a worker that runs several requests at once. */
  readonly #ring: RingWriter | null;
  /** There is something in the ring of which the main thread was not told. */
  #isUntold = false;

  constructor(port: MessagePort, control: Int32Array, memory: SharedArrayBuffer | null) {
    this.#port = port;
    this.#control = control;
    this.#ring = memory === null ? null : new RingWriter(memory, control, ANSWER_WORDS);
  }

  /** Puts a record into the ring; false when there is none, or no room. The last of a request is told of by tell(). */
  put(kind: number, id: number, first: string | Uint8Array, second: string | Uint8Array): boolean {
    if (this.#ring?.put(kind, id, first, second) !== true) return false;
    this.#isUntold = true;
    if (kind !== RESPONSE && kind !== END) this.tell();
    return true;
  }

  /**
   * Wakes the main thread for what it was not told of, unless it has been woken and has not looked yet. It stores TOLD before it
   * reads ANSWERS_WRITTEN, which was stored here before TOLD is read.
   */
  tell(): void {
    if (!this.#isUntold) return;
    this.#isUntold = false;
    if (Atomics.exchange(this.#control, TOLD, 1) === 0)
      this.#port.postMessage(['answers'] satisfies FromWorker);
  }

  post(message: FromWorker, transfer?: Transferable[]): void {
    this.#port.postMessage(message, transfer);
  }
}
