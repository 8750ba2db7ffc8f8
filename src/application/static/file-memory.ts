/** Main thread. Files that were looked at lately, so that a popular one costs neither a look nor a read. */
import type { Variants } from './folder.js';

/** How long what was seen is believed: a file that changes is served anew within this time. Milliseconds. */
const BELIEVED_MS = 1000;
/** Entries cost something beside their content: a path, its facts. Bytes. */
const ENTRY_SIZE = 1024;

interface Entry {
  readonly variants: Variants;
  readonly size: number;
  readonly seenAt: number;
}

/** Holds at most so many bytes; what was not asked for the longest is forgotten first. */
export class FileMemory {
  readonly #entries = new Map<string, Entry>();
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What is known of a path at a time of performance.now(); null where that is nothing, or too old. */
  find(path: string, now: number): Variants | null {
    const entry = this.#entries.get(path);
    if (entry === undefined) return null;
    this.#entries.delete(path);
    if (now - entry.seenAt > BELIEVED_MS) {
      this.#size -= entry.size;
      return null;
    }
    // A Map keeps the order of insertion: the newest is last.
    this.#entries.set(path, entry);
    return entry.variants;
  }

  keep(path: string, variants: Variants, now: number): void {
    this.#forget(path);
    const contents = variants.map(({ content }) => content?.length ?? 0);
    const size = contents.reduce((sum, length) => sum + length, ENTRY_SIZE + path.length);
    this.#entries.set(path, { variants, size, seenAt: now });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#limit) return;
      this.#forget(oldest);
    }
  }

  #forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    this.#size -= entry.size;
  }
}
