/** Main thread. What goes out on a connection: in few pieces, and to a client that takes it. */
import type { Socket } from 'node:net';

/** Those whose writes go out at the end of this turn. */
const gathering: Outlet[] = [];

export class Outlet {
  readonly #socket: Socket;
  #isGathering = false;
  #timeoutMs: number;
  /** How much of what was written the socket had taken, and when that was first seen. */
  #taken = 0;
  #takenAt = performance.now();

  /** `timeoutMs`: how long the client may take nothing of what is written; 0 for no limit. */
  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
  }

  /** Bytes that were written and not taken. */
  get length(): number {
    return this.#socket.writableLength;
  }

  limit(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  /** Text is latin-1. False where the client takes less than comes. */
  write(data: string | Uint8Array, taken?: () => void): boolean {
    return typeof data === 'string'
      ? this.#socket.write(data, 'latin1', taken)
      : this.#socket.write(data, taken);
  }

  /** What is written until the turn ends goes out in one piece. */
  gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#socket.cork();
    // One tick for all of a turn: an event may go to thousands of streams.
    if (gathering.push(this) === 1) process.nextTick(Outlet.#uncorkAll);
  }

  static #uncorkAll(): void {
    for (const outlet of gathering.splice(0)) {
      outlet.#isGathering = false;
      outlet.#socket.uncork();
    }
  }

  /** True for a client that has taken nothing for too long: it is as good as gone. To be asked again and again. */
  isStuck(now: number): boolean {
    const { bytesWritten, writableLength } = this.#socket;
    const taken = bytesWritten - writableLength;
    if (writableLength > 0 && taken === this.#taken)
      return this.#timeoutMs > 0 && now - this.#takenAt >= this.#timeoutMs;
    this.#taken = taken;
    this.#takenAt = now;
    return false;
  }
}
