/** Main thread. The pipe by which Python's workers wake it: one for all of them, for as long as the process lives. */
import { Socket } from 'node:net';
import type { WakerEnds } from '../contract/protocol.js';

export class Waker {
  /** The descriptor that workers write to: see waker.py. */
  readonly end: number;
  readonly #listeners = new Set<() => void>();

  constructor({ read, write }: WakerEnds) {
    this.end = write;
    const socket = new Socket({ fd: read, readable: true, writable: false });
    // Which worker it was does not matter: to look at all of them costs less than to be woken once more.
    socket.on('data', () => {
      for (const listener of this.#listeners) listener();
    });
    // Who waits for an answer keeps the process alive.
    socket.unref();
  }

  /** Calls back whenever a worker has written. Returns what ends that. */
  onWake(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
