// Worker thread. A request's body that lies whole in a file: this thread reads it, and the main thread has nothing to do with it.
import { closeSync, openSync, readSync } from 'node:fs';
import { countGarbage } from '../src/contract/garbage.js';

/** Read at once. Bytes. */
const PIECE_SIZE = 64 * 1024;

/**
 * The file is opened once more, for this thread: the main thread closes its own where it has given this worker up, and the
 * number may soon be another file's. Node closes what a thread has open when that is ended.
 */
export class BodyFile {
  readonly #fd: number;
  #position = 0;
  #isClosed = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Null where the file cannot be had: then its bytes come from the main thread. */
  static open(fd: number): BodyFile | null {
    try {
      return new BodyFile(openSync(`/dev/fd/${fd}`, 'r'));
    } catch {
      return null;
    }
  }

  /** The next bytes, in a buffer of their own; null at the end. Throws what the system says of a disk that fails. */
  next(): Uint8Array | null {
    if (this.#isClosed) return null;
    const piece = Buffer.allocUnsafeSlow(PIECE_SIZE);
    // Where /dev/fd gives a duplicate, it shares its offset with the main thread's.
    const size = readSync(this.#fd, piece, 0, PIECE_SIZE, this.#position);
    this.#position += size;
    countGarbage(PIECE_SIZE);
    return size === 0 ? null : piece.subarray(0, size);
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }
}
