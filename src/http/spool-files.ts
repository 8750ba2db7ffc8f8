/** Main thread. Temporary files without a name, bounded together: nothing is left behind, however the process ends. */
import { randomUUID } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LidoError } from '../contract/errors.js';

/** Of what is free in the directory at the start, so much is Lido's unless a setting says otherwise. */
const SHARE_OF_FREE = 1 / 2;
/** What statfs(2) calls a directory that lies in memory. */
const TMPFS = 0x01021994;

/** The directory, and how many bytes all files in it may have together. */
export class SpoolFiles {
  readonly directory: string;
  /** Bytes. */
  readonly limit: number;
  readonly #report: (error: LidoError) => void;
  #held = 0;
  #isFailing = false;

  /** `report` hears of the first failure, and again only once something has gone through a file whole in between. */
  constructor(directory: string, limit: number, report: (error: LidoError) => void) {
    this.directory = directory;
    this.limit = limit;
    this.#report = report;
  }

  /** Bytes that files have now. */
  get held(): number {
    return this.#held;
  }

  /** Bytes that may be added. */
  get left(): number {
    return this.limit - this.#held;
  }

  /** Counts bytes that are about to be written. Throws LIDO_BUFFER_DISK_FULL where there may be no more. */
  take(bytes: number): void {
    if (bytes > this.left) throw new LidoError('LIDO_BUFFER_DISK_FULL', [this.limit]);
    this.#held += bytes;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
  }

  /** Opens a file that nobody else sees. */
  async open(): Promise<FileHandle> {
    const path = join(this.directory, `lido-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600);
    try {
      await unlink(path);
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  succeed(): void {
    this.#isFailing = false;
  }

  /** Says what failed as one of Lido's errors, in the log too unless it is known there. */
  fail(error: unknown): LidoError {
    const own =
      error instanceof LidoError
        ? error
        : new LidoError('LIDO_BUFFER_FILE_FAILED', [this.directory, (error as Error).message], {
            cause: error,
          });
    if (!this.#isFailing) this.#report(own);
    this.#isFailing = true;
    return own;
  }
}

/**
 * How many bytes all temporary files may have by default: half of what is free in the directory, and no more than
 * `memory` where the directory itself lies in memory, as /tmp does on some systems. Throws where there is no such directory.
 */
export function findFileLimit(directory: string, memory: number): number {
  const { bavail, bsize, type } = statfsSync(directory);
  const share = Math.floor(bavail * bsize * SHARE_OF_FREE);
  return type === TMPFS ? Math.min(share, memory) : share;
}
