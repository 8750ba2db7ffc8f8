/**
 * Main thread of the supervisor. Memory that all processes share, in which each says whether it could begin a request at
 * once: a file without a name, which they map. The supervisor reads it as a file, and so does without what maps files.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PLACE_BYTES, VACANCY_BYTES } from './vacancies.js';

/** In memory where there is such a directory: the words change with every request. */
const DIRECTORIES = ['/dev/shm', tmpdir()];

export class VacancyFile {
  readonly fd: number;
  readonly #taken = new Set<number>();
  readonly #word = Buffer.alloc(4);

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Null where no file can be made: processes then know nothing of one another. */
  static open(): VacancyFile | null {
    for (const directory of DIRECTORIES) {
      const path = join(directory, `lido-${randomUUID()}`);
      try {
        const fd = openSync(path, 'wx+', 0o600);
        unlinkSync(path);
        ftruncateSync(fd, VACANCY_BYTES);
        return new VacancyFile(fd);
      } catch {
        // The next one may be writable.
      }
    }
    return null;
  }

  /** A place for one process, until it is given back; null where there are that many. */
  takePlace(): number | null {
    for (let place = 0; place < VACANCY_BYTES / PLACE_BYTES; place += 1) {
      if (this.#taken.has(place)) continue;
      this.#taken.add(place);
      return place;
    }
    return null;
  }

  /** The process that had it has ended, whatever it said last. */
  giveBack(place: number): void {
    this.#taken.delete(place);
    this.#word.writeInt32LE(0);
    writeSync(this.fd, this.#word, 0, 4, place * PLACE_BYTES);
  }

  /** True where the process could begin a request at once. */
  isVacant(place: number): boolean {
    readSync(this.fd, this.#word, 0, 4, place * PLACE_BYTES);
    return this.#word.readInt32LE(0) !== 0;
  }

  close(): void {
    closeSync(this.fd);
  }
}
