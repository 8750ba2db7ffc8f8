// Worker thread. wsgi.file_wrapper for JavaScript applications.
import { readSync } from 'node:fs';
import type { FileLike } from '../src/wsgi.js';

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
    for (let block = this.#readBlock(); block !== null && block.length > 0; block = this.#readBlock())
      yield block;
  }

  close(): void {
    this.file.close?.();
  }

  #readBlock(): Uint8Array | null {
    if (this.file.read !== undefined) return this.file.read(this.#blockSize);
    if (this.file.fd === undefined)
      throw new TypeError('wsgi.file_wrapper takes an object with a read() method or an fd');
    const block = Buffer.allocUnsafe(this.#blockSize);
    return block.subarray(0, readSync(this.file.fd, block));
  }
}

/** `environ['wsgi.file_wrapper']`. */
export function wrapFile(file: FileLike, blockSize?: number): FileBlocks {
  return new FileBlocks(file, blockSize);
}
