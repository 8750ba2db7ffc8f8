/** Main thread. Bytes that wait for whoever takes them: in memory at first, and in a temporary file once they are many. */
import { writev } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { LidoError } from '../contract/errors.js';
import { countGarbage } from '../contract/garbage.js';
import { BLOCK_SIZE, giveBack } from './blocks.js';
import type { Account, Budget, Holder } from './budget.js';
import { Chunks } from './chunks.js';
import type { SpoolFiles } from './spool-files.js';

/** Written at once, so that what comes in small pieces does not go to the file in such. Bytes. */
const WRITE_SIZE = BLOCK_SIZE;
/** The system may look for as much memory in one piece as is written at once, and finds more than this slowly. Bytes. */
const MOST_AT_ONCE = 2 * BLOCK_SIZE;
/** A disk that is slower than its client may be so many bytes behind: with less, a quick client waits for each write. */
const MOST_UNWRITTEN = 2 * 1024 * 1024;
/** Read at once; the next is read while this one is used. Bytes. */
const READ_SIZE = 256 * 1024;

export interface SpoolEvents {
  /** take() may have something again. Called only after it had nothing. */
  more(): void;
  /** It is not full any more. */
  room(): void;
  /** The file takes no more: what it has and what is in memory is as it was, and no room comes until that is taken. */
  overflow(error: LidoError): void;
  /** What was in the file cannot be read. */
  lose(error: LidoError): void;
}

/** A file that has all of a spool's bytes, from its start to its end. */
export interface SpooledFile {
  readonly fd: number;
  /** Bytes. */
  readonly length: number;
}

export interface SpoolStore {
  readonly budget: Budget;
  readonly files: SpoolFiles;
}

/**
 * First in, first out. The bytes lie in memory until spill() is called, by its owner or by the budget; from then on until
 * all were taken they go through the file. In order: `front`, what the file has, what is being written, `back`.
 */
export class Spool implements Holder {
  readonly #files: SpoolFiles;
  readonly #account: Account;
  readonly #events: SpoolEvents;
  /** Bytes; the largest file that it may have. */
  readonly #maxFile: number;
  readonly #front = new Chunks();
  readonly #back = new Chunks();
  #file: FileHandle | null = null;
  /** What the file has, from and to. */
  #from = 0;
  #to = 0;
  /** The most that it ever had: it is not cut. */
  #fileSize = 0;
  /** Bytes that are being written. */
  #writing = 0;
  #isReading = false;
  #isSpilling = false;
  #isOverflown = false;
  #isWanted = false;
  #isClosed = false;
  #whenFree: Promise<unknown> | null = null;
  /** Nothing more is appended. */
  #isComplete = false;
  #whenSettled: (() => void) | null = null;

  constructor({ budget, files }: SpoolStore, maxFile: number, events: SpoolEvents) {
    this.#files = files;
    this.#maxFile = maxFile;
    this.#events = events;
    this.#account = budget.open(this);
  }

  /** Bytes that were appended and not taken. */
  get length(): number {
    return this.#front.length + (this.#to - this.#from) + this.#writing + this.#back.length;
  }

  /** True while nothing more should be appended; `room` is told when it may. */
  get isFull(): boolean {
    return this.#isOverflown || this.#writing + this.#back.length >= this.#most;
  }

  /** True while the bytes go to the file. */
  get isSpilling(): boolean {
    return this.#isSpilling;
  }

  /** Where the next bytes may be put before they are appended, which are not copied then. */
  room(): Buffer {
    return this.#back.room();
  }

  append(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    this.#back.push(chunk);
    this.#count();
    if (this.#shouldWrite) void this.#write();
    if (this.#isWanted && this.#isInMemory) this.#tellMore();
  }

  /** The next bytes; null where there are none, or none yet: then `more` is told. */
  take(): Uint8Array | null {
    const chunk = this.#front.shift() ?? (this.#isInMemory ? this.#back.shift() : null);
    if (this.#from < this.#to) void this.#read();
    else if (this.#isInMemory) this.#begin();
    this.#isWanted = chunk === null;
    this.#count();
    return chunk;
  }

  /** All that is here as latin-1 text, without taking it; null where a part is in the file. */
  asText(): string | null {
    return this.#isInMemory ? this.#front.asText() + this.#back.asText() : null;
  }

  /** All that is here, without taking it; null where a part is in the file. */
  asPieces(): Uint8Array[] | null {
    return this.#isInMemory ? [...this.#front.all(), ...this.#back.all()] : null;
  }

  /** Moves what is in memory to the file, and all that comes until everything was taken. */
  spill(): void {
    if (this.#isSpilling || this.#isClosed || this.length === 0) return;
    this.#isSpilling = true;
    void this.#write();
  }

  /** For the budget. */
  relieve(): void {
    this.spill();
  }

  /** For the budget; what comes next may lie in memory by itself. */
  resume(): void {}

  /**
   * Nothing more is appended. Where the bytes go to the file, so do the last of them. Calls back once nothing is being
   * written any more: what cannot be was told by then.
   */
  complete(callback: () => void): void {
    this.#isComplete = true;
    this.#whenSettled = callback;
    if (this.#shouldWrite) void this.#write();
    this.#settle();
  }

  /** The file where all bytes lie in that, and none was taken. It stays open until close(). */
  get file(): SpooledFile | null {
    const isWhole = this.#from === 0 && this.#to === this.#fileSize && this.#to === this.length;
    return this.#file === null || !isWhole || this.#writing > 0
      ? null
      : { fd: this.#file.fd, length: this.#to };
  }

  /** What was not taken is dropped. `whenFree` settles once nobody else has the file open, and the disk its bytes back. Idempotent. */
  close(whenFree: Promise<unknown> | null = null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#whenFree = whenFree;
    this.#account.close();
    this.#front.takeAll();
    this.#back.takeAll();
    if (this.#writing === 0 && !this.#isReading) this.#closeFile();
  }

  get #most(): number {
    return this.#isSpilling ? MOST_UNWRITTEN : Number.POSITIVE_INFINITY;
  }

  get #shouldWrite(): boolean {
    const least = this.#isComplete ? 1 : WRITE_SIZE;
    return this.#isSpilling && this.#back.length >= least;
  }

  /** True when nothing lies between `front` and `back`. */
  get #isInMemory(): boolean {
    return this.#from === this.#to && this.#writing === 0 && !this.#isReading;
  }

  /** All that the file had was taken: it is filled from its start again, once there is a need. */
  #begin(): void {
    this.#from = 0;
    this.#to = 0;
    const wasOverflown = this.#isOverflown;
    if (this.#isSpilling && !wasOverflown) this.#files.succeed();
    this.#isSpilling = false;
    this.#isOverflown = false;
    if (wasOverflown) this.#events.room();
  }

  async #write(): Promise<void> {
    if (this.#writing > 0 || this.#isOverflown) return;
    const chunks = this.#isComplete ? this.#back.takeAll() : this.#back.takeFull();
    this.#writing = sumLengths(chunks);
    let written = 0;
    let failure: LidoError | null = null;
    try {
      written = await this.#store(chunks, this.#writing);
    } catch (error) {
      failure = this.#files.fail(error);
    }
    const wasFull = this.isFull;
    this.#to += written;
    this.#writing = 0;
    if (this.#isClosed) {
      if (!this.#isReading) this.#closeFile();
      return;
    }
    const rest = dropFirst(chunks, written);
    if (rest.length > 0) this.#back.putBack(rest);
    else for (const chunk of chunks) dispose(chunk);
    this.#count();
    this.#goOn(wasFull, failure);
  }

  /** Returns how many bytes are in the file: fewer where the disk is full. */
  async #store(chunks: Uint8Array[], size: number): Promise<number> {
    const growth = Math.max(0, this.#to + size - this.#fileSize);
    if (this.#fileSize + growth > this.#maxFile)
      throw new LidoError('LIDO_BUFFER_DISK_FULL', [this.#maxFile]);
    this.#files.take(growth);
    this.#fileSize += growth;
    this.#file ??= await this.#files.open();
    return writeAll(this.#file.fd, chunks, this.#to);
  }

  #goOn(wasFull: boolean, failure: LidoError | null): void {
    if (failure !== null) {
      this.#isOverflown = true;
      this.#events.overflow(failure);
    } else if (this.#shouldWrite) void this.#write();
    if (wasFull && !this.isFull) this.#events.room();
    if (this.#isWanted) this.#tellMore();
    this.#settle();
  }

  #settle(): void {
    if (this.#writing > 0) return;
    const callback = this.#whenSettled;
    if (callback === null) return;
    this.#whenSettled = null;
    if (this.file !== null) this.#files.succeed();
    callback();
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const size = Math.min(READ_SIZE, this.#to - this.#from);
    const buffer = Buffer.allocUnsafeSlow(size);
    let failure: unknown = null;
    try {
      const { bytesRead } = await (this.#file as FileHandle).read(buffer, 0, size, this.#from);
      if (bytesRead !== size) failure = new Error(`${bytesRead} bytes instead of ${size} at ${this.#from}`);
    } catch (error) {
      failure = error;
    }
    this.#isReading = false;
    if (this.#isClosed) {
      if (this.#writing === 0) this.#closeFile();
      return;
    }
    if (failure !== null) {
      this.#events.lose(this.#files.fail(failure));
      return;
    }
    this.#from += size;
    this.#front.push(buffer);
    this.#count();
    if (this.#isWanted) this.#tellMore();
  }

  /** What lies in memory, and what is kept free there for the next bytes. */
  #count(): void {
    const inMemory = this.#front.length + this.#writing + this.#back.length + this.#back.spare;
    this.#account.add(inMemory - this.#account.held);
  }

  #tellMore(): void {
    this.#isWanted = false;
    this.#events.more();
  }

  #closeFile(): void {
    const size = this.#fileSize;
    this.#fileSize = 0;
    if (this.#whenFree === null) this.#files.giveBack(size);
    else void this.#whenFree.finally(() => this.#files.giveBack(size));
    const file = this.#file;
    this.#file = null;
    // Nothing is lost that anybody would read; a disk that fails says so elsewhere.
    file?.close().catch(() => {});
  }
}

/** Returns how many bytes were written: fewer where the disk is full. */
async function writeAll(fd: number, chunks: readonly Uint8Array[], position: number): Promise<number> {
  let written = 0;
  for (let start = 0; start < chunks.length; ) {
    let end = start;
    let size = 0;
    do size += (chunks[end++] as Uint8Array).length;
    while (end < chunks.length && size + (chunks[end] as Uint8Array).length <= MOST_AT_ONCE);
    const bytes = await writeAt(fd, chunks.slice(start, end), position + written);
    written += bytes;
    if (bytes < size) break;
    start = end;
  }
  return written;
}

/** FileHandle's own takes three times as long to begin. */
function writeAt(fd: number, chunks: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, chunks, position, (error, bytesWritten) => {
      if (error === null) resolve(bytesWritten);
      else reject(error);
    });
  });
}

/** It is written. */
function dispose(chunk: Uint8Array): void {
  if (!giveBack(chunk)) countGarbage(chunk.length);
}

function sumLengths(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/** What is left behind so many bytes. */
function dropFirst(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let position = 0;
  for (const chunk of chunks) {
    const dropped = Math.max(0, Math.min(chunk.length, bytes - position));
    if (dropped < chunk.length) left.push(chunk.subarray(dropped));
    position += chunk.length;
  }
  return left;
}
