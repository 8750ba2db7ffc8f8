/**
 * Main thread. Where lines of the log go, however it fares there: a disk that is full, and a reader that is gone or does not
 * read, cost lines and never the server.
 */
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';

/** What a reader that does not keep up may hold up everybody else. Milliseconds. */
const PATIENCE_MS = 100;
/** How often it is tried within that. Milliseconds. */
const TRY_EACH_MS = 5;

export class LogOutput extends Writable {
  readonly #fd: number;
  readonly #recovered: (lost: number) => void;
  #lost = 0;

  /** `recovered` is told how many lines were lost, once lines are written again. */
  constructor(fd: number, recovered: (lost: number) => void) {
    super();
    this.#fd = fd;
    this.#recovered = recovered;
  }

  /** At once, so that nothing is left behind when the process ends. */
  override _write(line: Buffer, _encoding: BufferEncoding, done: () => void): void {
    try {
      this.#writeAll(line);
      this.#tellOfLosses();
    } catch {
      this.#lost += 1;
    }
    done();
  }

  #writeAll(line: Buffer): void {
    const end = performance.now() + (this.#lost === 0 ? PATIENCE_MS : 0);
    for (let written = 0; written < line.length; )
      try {
        written += writeSync(this.#fd, line, written);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() >= end) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TRY_EACH_MS);
      }
  }

  #tellOfLosses(): void {
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    setImmediate(() => this.#recovered(lost));
  }
}

/** What an application prints may find no reader, or no room: Node would end the process for it. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners('error').on('error', () => {});
}
