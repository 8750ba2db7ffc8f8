// Worker thread. wsgi.file_wrapper for JavaScript applications.
import { fstatSync, readSync } from 'node:fs';
import type { FileLike } from '../../src/contract/wsgi.js';

const DEFAULT_BLOCK_SIZE = 64 * 1024;

/** An iterable over a file's blocks. PEP 3333, "Optional Platform-Specific File Handling". */
export class FileBlocks implements Iterable<Uint8Array> {
  readonly file: FileLike;
  readonly #blockSize: number;

  constructor(file: FileLike, blockSize = DEFAULT_BLOCK_SIZE) {
    this.file = file;
    this.#blockSize = blockSize;
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    const { fd, position = 0, length = Number.POSITIVE_INFINITY } = this.file;
    if (fd === undefined) yield* this.#readBlocks();
    else yield* readFile(fd, position, position + length, this.#blockSize);
  }

  close(): void {
    this.file.close?.();
  }

  *#readBlocks(): Generator<Uint8Array> {
    const { file } = this;
    if (file.read === undefined)
      throw new TypeError('wsgi.file_wrapper takes an object with an fd or a read() method');
    for (;;) {
      const block = file.read(this.#blockSize);
      if (block === null || block?.length === 0) return;
      yield block;
    }
  }
}

function* readFile(fd: number, start: number, end: number, blockSize: number): Generator<Uint8Array> {
  for (let position = start; position < end; ) {
    const block = Buffer.allocUnsafe(Math.min(blockSize, end - position));
    const size = readSync(fd, block, 0, block.length, position);
    if (size === 0) return;
    position += size;
    yield block.subarray(0, size);
  }
}

/** A part of a regular file, in bytes. */
export interface FilePart {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
}

/** What of a regular file is to be sent; null for anything else. */
export function measureFile({ fd, position = 0, length }: FileLike): FilePart | null {
  if (fd === undefined) return null;
  const stats = fstatSync(fd);
  // Files of /proc and their like say that they are empty.
  if (!stats.isFile() || stats.size === 0) return null;
  return { fd, position, length: Math.max(0, Math.min(length ?? stats.size, stats.size - position)) };
}

/** `environ['wsgi.file_wrapper']`. */
export function wrapFile(file: FileLike, blockSize?: number): FileBlocks {
  return new FileBlocks(file, blockSize);
}
