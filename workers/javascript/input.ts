// Worker thread. wsgi.input for JavaScript applications.
import type { Input } from '../../src/contract/wsgi.js';
import type { RequestBody } from '../request-body.js';

const EMPTY = Buffer.alloc(0);
const LINE_FEED = 10;

/** The request's body as PEP 3333's input stream ("Input and Error Streams"); it ends where the body ends. */
export class BodyInput implements Input {
  readonly #body: RequestBody;
  /** What has arrived and was not read yet. */
  #chunks: Buffer[] = [];
  #available = 0;
  #ended = false;

  constructor(body: RequestBody) {
    this.#body = body;
  }

  read(size = -1): Buffer {
    checkSize(size);
    const wanted = size < 0 ? Number.POSITIVE_INFINITY : size;
    while (this.#available < wanted && this.#pull());
    return this.#take(Math.min(wanted, this.#available));
  }

  readline(size = -1): Buffer {
    checkSize(size);
    const limit = size < 0 ? Number.POSITIVE_INFINITY : size;
    let searched = 0;
    for (;;) {
      const end = this.#findLineEnd(searched);
      if (end > 0) return this.#take(Math.min(end, limit));
      if (this.#available >= limit) return this.#take(limit);
      searched = this.#available;
      if (!this.#pull()) return this.#take(this.#available);
    }
  }

  readlines(hint = -1): Buffer[] {
    const lines: Buffer[] = [];
    let total = 0;
    for (const line of this) {
      lines.push(line);
      total += line.length;
      if (hint > 0 && total >= hint) break;
    }
    return lines;
  }

  *[Symbol.iterator](): Generator<Buffer> {
    for (let line = this.readline(); line.length > 0; line = this.readline()) yield line;
  }

  /** Chunks as they arrive, without blocking the thread: for asynchronous applications. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    if (this.#available > 0) yield this.#take(this.#available);
    while (!this.#ended) {
      const chunk = await this.#body.nextChunkAsync();
      if (chunk === null) this.#ended = true;
      else yield asBuffer(chunk);
    }
  }

  /** Adds the next chunk to what is available; false at the end of the body. Blocks. */
  #pull(): boolean {
    if (this.#ended) return false;
    const chunk = this.#body.nextChunk();
    if (chunk === null) {
      this.#ended = true;
      return false;
    }
    this.#chunks.push(asBuffer(chunk));
    this.#available += chunk.byteLength;
    return true;
  }

  /** The length of the line that starts what is available, or 0 when it has no end yet. */
  #findLineEnd(from: number): number {
    let start = 0;
    for (const chunk of this.#chunks) {
      const next = start + chunk.length;
      if (next > from) {
        const index = chunk.indexOf(LINE_FEED, Math.max(0, from - start));
        if (index >= 0) return start + index + 1;
      }
      start = next;
    }
    return 0;
  }

  #take(size: number): Buffer {
    if (size === 0) return EMPTY;
    const first = this.#chunks[0] as Buffer;
    this.#available -= size;
    if (size < first.length) {
      this.#chunks[0] = first.subarray(size);
      return first.subarray(0, size);
    }
    if (size === first.length) {
      this.#chunks.shift();
      return first;
    }
    return this.#takeAcross(size);
  }

  #takeAcross(size: number): Buffer {
    const taken = Buffer.allocUnsafe(size);
    let filled = 0;
    let used = 0;
    while (filled < size) {
      const chunk = this.#chunks[used] as Buffer;
      const part = Math.min(chunk.length, size - filled);
      chunk.copy(taken, filled, 0, part);
      filled += part;
      if (part < chunk.length) this.#chunks[used] = chunk.subarray(part);
      else used += 1;
    }
    this.#chunks.splice(0, used);
    return taken;
  }
}

/** Number(environ.CONTENT_LENGTH) is NaN where there is none, which would compare as neither less nor more. */
function checkSize(size: number): void {
  if (!Number.isInteger(size) && size !== Number.POSITIVE_INFINITY)
    throw new TypeError(`wsgi.input takes a whole number of bytes, not ${String(size)}`);
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
