/** Main thread. How what a client sends comes off its socket: in packets, by a way of its own where a body is long, or not for now. */
import type { Socket } from 'node:net';
import { LongBodyReader } from './long-body.js';
import type { WireBody } from './request.js';
import { sharedMemory } from './shared-memory.js';

/** Who is given it. */
export interface PacketTaker {
  /** The packet may lie in memory that all connections share: what is kept of it goes through sharedMemory.own(). */
  take(packet: Buffer): void;
  /** Of a long body; nothing else comes with it. */
  takeLong(bytes: Buffer): void;
  /** The client has ended its side. */
  hearEnd(): void;
}

export class Inlet {
  readonly #socket: Socket;
  readonly #taker: PacketTaker;
  /** Reads in the place of the socket while a long body comes. */
  #longBody: LongBodyReader | null = null;
  #isHeld = false;
  /** When the client was last heard, or could last not be. performance.now(). */
  heardAt = performance.now();
  /** When it ended its side; null where it has not. performance.now(). */
  endedAt: number | null = null;
  #isClosed = false;

  constructor(socket: Socket, taker: PacketTaker) {
    this.#socket = socket;
    this.#taker = taker;
    // By 'data' comes what was put back into the socket, and all else where there is no shared memory.
    socket.on('data', this.#hear).on('end', this.#hearEnd);
    sharedMemory.readInto(socket, this.#hear);
  }

  /** Holds what comes, or lets it come. `body`: of which the next bytes will be, where they are known to be of one. */
  regulate(holds: boolean, body: WireBody | null): void {
    if (this.#isClosed) return;
    this.#chooseReader(holds, body);
    if (holds === this.#isHeld) return;
    this.#isHeld = holds;
    const reader = this.#longBody ?? this.#socket;
    if (holds) reader.pause();
    else {
      // What the client has said in the meantime is heard only now, its end too.
      this.heardAt = performance.now();
      reader.resume();
    }
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#longBody?.close();
  }

  /** What comes from now on is for others who listen to the socket. */
  leave(): void {
    this.close();
    sharedMemory.leave(this.#socket);
    this.#socket.off('data', this.#hear).off('end', this.#hearEnd).resume();
  }

  /** A long body comes by a way of its own, for as long as it is wanted. */
  #chooseReader(holds: boolean, body: WireBody | null): void {
    const longBody = this.#longBody;
    if (longBody !== null) {
      if (!longBody.isClosed && body !== null && !body.isStopped && !body.isBroken) return;
      longBody.close();
      this.#longBody = null;
      this.#isHeld = false;
    } else if (body !== null && !holds && this.endedAt === null)
      this.#longBody = LongBodyReader.begin(this.#socket, body, (bytes) => this.#hearLong(bytes));
  }

  readonly #hear = (packet: Buffer): void => {
    this.heardAt = performance.now();
    this.#taker.take(packet);
  };

  #hearLong(bytes: Buffer): void {
    this.heardAt = performance.now();
    this.#taker.takeLong(bytes);
  }

  readonly #hearEnd = (): void => {
    this.endedAt = performance.now();
    this.#taker.hearEnd();
  };
}
