/**
 * Main thread. Lines into a file or to standard output, by pino's own destination, which never blocks: what cannot be
 * written at once waits in memory, what is more than that is dropped and counted, and serving goes on.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { destination } from 'pino';
import { describe } from '../contract/errors.js';
import { findDescriptors, type Log } from '../log.js';
import { Losses } from './losses.js';

/** Where lines go. */
export interface LineSink {
  /** Lines with their newlines. */
  write(lines: string): void;
  /** Opens the file again, which log rotation has moved away. */
  reopen(): void;
  /** Writes what is left. Resolves even where that fails. */
  close(): Promise<void>;
}

/** What may wait for a disk that stands still: a second of 40,000 requests a second. Bytes. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Bytes in one call of the system. */
const FILE_WRITE = 64 * 1024;
/** POSIX: a pipe that several processes write to keeps a piece of so many bytes together. */
const PIPE_WRITE = 4096;
/** What close() waits for a file that takes nothing. Milliseconds. */
const CLOSE_PATIENCE_MS = 1000;

type Destination = ReturnType<typeof destination>;

export class LineFile implements LineSink {
  readonly #name: string;
  readonly #losses: Losses;
  readonly #destination: Destination;
  #opened: Promise<unknown> = Promise.resolve();
  /** Nobody reads the pipe any more, nor ever will. */
  #isBroken = false;

  /** `path` is a file's, or '-' for standard output. Throws the system's error where it cannot be opened. */
  constructor(path: string, log: Log) {
    this.#name = path === '-' ? 'standard output' : path;
    this.#losses = new Losses(log);
    const isOutput = path === '-';
    const { output } = findDescriptors();
    if (!isOutput) closeSync(openSync(path, 'a'));
    this.#destination = destination({
      dest: isOutput ? output : path,
      sync: false,
      append: true,
      maxLength: MAX_WAITING,
      maxWrite: isOutput && fstatSync(output).isFIFO() ? PIPE_WRITE : FILE_WRITE,
    });
    // At the end of the process pino would call this, which on a full disk tries for ever; close() writes what is left.
    this.#destination.flushSync = () => {};
    this.#destination.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    this.#destination.on('drop', (lines: string) => this.#drop(lines));
    this.#destination.on('drain', () => this.#losses.recover());
  }

  write(lines: string): void {
    this.#destination.write(lines);
  }

  reopen(): void {
    if (this.#name === 'standard output') return;
    this.#opened = this.#once('ready');
    this.#destination.reopen();
  }

  async close(): Promise<void> {
    if (this.#isBroken) return;
    // A file that is being opened anew would not be closed, and what is to go there would be lost.
    await this.#opened;
    const closed = this.#once('close');
    this.#destination.end();
    await closed;
  }

  /** Resolves when this comes, or an error does, or neither does for long. */
  #once(event: 'ready' | 'close'): Promise<unknown> {
    return new Promise((resolve) => {
      this.#destination.once(event, resolve);
      this.#destination.once('error', resolve);
      setTimeout(resolve, CLOSE_PATIENCE_MS).unref();
    });
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE') this.#isBroken = true;
    this.#losses.fail(
      `the access log cannot be written to ${this.#name}: ${describe(error)}; serving goes on`,
    );
  }

  #drop(lines: string): void {
    this.#losses.fail(
      `the access log is written to ${this.#name} more slowly than it grows: lines are dropped`,
      lines.split('\n').length - 1,
    );
  }
}
