/** Main thread. An answer that goes to a stream instead of a connection: standard output, or a file. */
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Head } from '../../http/response-head.js';
import type { ResponseSink } from '../../http/response-sink.js';

/** Writes the head as it should be seen: as HTTP's, as CGI's, or not at all. */
export type FormatHead = (head: Head, length: number | null) => string;

export class OutputSink implements ResponseSink {
  readonly isRequestRead = true;
  readonly hasClientEnded = false;
  readonly #output: Writable;
  readonly #formatHead: FormatHead;
  readonly #isBodiless: boolean;
  readonly #whenClosed: (() => void)[] = [];
  #status: number | null = null;
  #isWhole = false;
  #isClosed = false;

  /** `method`: an answer to HEAD has no body, whatever the application says. */
  constructor(output: Writable, method: string, formatHead: FormatHead) {
    this.#output = output;
    this.#formatHead = formatHead;
    this.#isBodiless = method === 'HEAD';
    // Whoever reads the output may stop reading: `lido call app:app / | head`.
    output.on('error', () => this.#close());
  }

  /** The answer's status; null while there is none. */
  get status(): number | null {
    return this.#status;
  }

  /** True once the whole answer was written. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  limitSending(): void {}

  writeContinue(): void {}

  writeEarlyHints(): void {}

  addTrailers(): void {}

  writeHead(head: Head, length: number | null): boolean {
    this.#status = head.status;
    const text = this.#formatHead(head, length);
    if (text !== '') this.#output.write(text, 'latin1');
    return true;
  }

  flushHead(): void {}

  write(block: string | Uint8Array, giveBack?: () => void): boolean {
    if (typeof block === 'string') return this.#output.write(block, 'latin1');
    return this.#output.write(block, () => giveBack?.());
  }

  end(block: string | Uint8Array): void {
    if (block.length > 0 && !this.#isBodiless) this.write(block);
    this.#isWhole = true;
    // Standard output is not this answer's to end; what was written so far is waited for.
    this.#output.write('', () => this.#close());
  }

  abort(): void {
    this.#close();
  }

  answerError(): boolean {
    return false;
  }

  onceDrained(listener: () => void): void {
    this.#output.once('drain', listener);
  }

  onceClosed(listener: () => void): void {
    this.#whenClosed.push(listener);
  }

  /** Resolves when the answer is over, whole or not. */
  async whenClosed(): Promise<void> {
    if (!this.#isClosed) await new Promise<void>((resolve) => this.#whenClosed.push(resolve));
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const listener of this.#whenClosed.splice(0)) listener();
  }
}

/** Ends a file's stream; standard output stays open. */
export async function endOutput(output: Writable): Promise<void> {
  if (output === process.stdout) return;
  output.end();
  await finished(output);
}
