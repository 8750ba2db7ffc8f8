/**
 * Main thread. Reads a long body off its connection into memory that is used again and again. net.Socket has new memory for each
 * packet, and to fetch that, fill it and collect it takes as long as to receive what comes.
 */
import { Socket } from 'node:net';
import { descriptorOf } from './descriptor.js';
import type { WireBody } from './request.js';
import { readOn, stopReading } from './stop-reading.js';

/** Null until it is loaded. */
let duplicate: ((fd: number) => number) | null = null;
let isLoading = false;

export class LongBodyReader {
  readonly #socket: Socket;
  /** The same connection by another descriptor: Node takes memory to read into only where it makes a socket itself. */
  readonly #twin: Socket;
  isClosed = false;

  /**
   * Lets what is left of a body come straight to where its receiver has room; the socket itself reads nothing until then. `take` is
   * told of what has come. Null where the body is not long enough, or the socket cannot be read so.
   */
  static begin(socket: Socket, body: WireBody, take: (bytes: Buffer) => void): LongBodyReader | null {
    const left = body.longRest;
    if (left === 0) return null;
    const fd = canBeReadElsewhere(socket) ? descriptorOf(socket) : -1;
    if (fd < 0) return null;
    if (duplicate === null) {
      load();
      return null;
    }
    // Asked last: what has come is copied for it, which would be in vain where the next packet comes as this one did.
    if ((body.receiver?.room() ?? null) === null || !stopReading(socket)) return null;
    const own = duplicate(fd);
    if (own >= 0) return new LongBodyReader(socket, own, body, left, take);
    readOn(socket);
    return null;
  }

  private constructor(
    socket: Socket,
    fd: number,
    body: WireBody,
    length: number,
    take: (bytes: Buffer) => void,
  ) {
    let left = length;
    let target: Buffer = Buffer.alloc(0);
    // Asked before each read. Nothing behind the body is read.
    const buffer = () => {
      if (!this.isClosed) target = body.receiver?.room()?.subarray(0, left) ?? target;
      return target;
    };
    const callback = (size: number) => {
      left -= size;
      const bytes = target.subarray(0, size);
      if (left === 0) this.close();
      take(bytes);
      return true;
    };
    this.#socket = socket;
    // Node's types know `onread` for connect() alone.
    const options = { fd, readable: true, writable: false, onread: { buffer, callback } };
    this.#twin = new Socket(options);
    this.#twin
      .on('error', () => socket.destroy())
      // The socket hears the end, too.
      .on('end', () => this.close())
      .resume();
  }

  pause(): void {
    this.#twin.pause();
  }

  resume(): void {
    this.#twin.resume();
  }

  /** The socket itself reads on. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#twin.destroy();
    if (!this.#socket.destroyed) readOn(this.#socket);
  }
}

/** It has no TLS, and all of its bytes so far were taken. */
function canBeReadElsewhere(socket: Socket): boolean {
  return !('encrypted' in socket) && socket.readableLength === 0;
}

/** The first long body does not wait for it. Without it, all bodies come in packets. */
function load(): void {
  if (isLoading) return;
  isLoading = true;
  import('../../system-calls.js').then(
    (calls) => {
      duplicate = calls.duplicate;
    },
    () => {},
  );
}
