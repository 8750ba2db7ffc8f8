/** Main thread. The pipe by which Python's workers wake it: one for all of them, for as long as the process lives. */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { WakerEnds, WakerRope } from '../contract/protocol.js';

/** There is never more than a byte for each worker. */
const MOST_BYTES = 256;

export class Waker {
  /** What workers pull: see waker.py. */
  readonly rope: WakerRope;
  readonly #listeners = new Set<() => void>();

  constructor({ read, write }: WakerEnds) {
    this.rope = { end: write, told: new Int32Array(new SharedArrayBuffer(4)) };
    // The same few bytes again and again: a stream would take 64 KiB for each that comes.
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: read,
      readable: true,
      writable: false,
      onread: { buffer: Buffer.alloc(MOST_BYTES), callback: this.#wake },
    };
    // Who waits for an answer keeps the process alive.
    new Socket(options).unref();
  }

  /**
   * Which worker it was does not matter: one wake-up is for the answers of all. `told` is stored before their words are read, and
   * each worker stores its word before it reads `told`: either this sees what it has put into its ring, or it sees that it has to tell.
   */
  readonly #wake = (): boolean => {
    Atomics.store(this.rope.told, 0, 0);
    for (const listener of this.#listeners) listener();
    return true;
  };

  /** Calls back whenever a worker has written. Returns what ends that. */
  onWake(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
