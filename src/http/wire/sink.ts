/** Main thread. The way of one response out over a connection of Lido's own: framing, and few writes. RFC 9112. */
import type { Head } from '../response-head.js';
import { writeFieldsText, writeHeadText } from '../response-head.js';
import type { ResponseSink } from '../response-sink.js';
import { dateLine } from './date.js';
import type { RequestHead } from './head-parser.js';

/** What a response needs of its connection. */
export interface ResponseCarrier {
  /** "timeout=75": how long the connection is kept, for clients that want to know; null where that is not limited. */
  readonly keepAlive: string | null;
  readonly hasClientEnded: boolean;
  /** True when the connection ends with this response, whatever it is. */
  readonly isLastRequest: boolean;
  /** True when the current request's body is read, or there is none. */
  readonly isRequestRead: boolean;
  /** False where the client takes less than comes; tellDrained() of the response follows. */
  write(data: string | Uint8Array, giveBack?: () => void): boolean;
  /** What is written until the turn ends goes out in one piece. */
  gather(): void;
  limitSending(timeoutMs: number): void;
  /** The current response is of no use to a client that has ended its side. */
  leaveWithClient(): void;
  /** Writes the last of the response, which may be empty; `closes`: it is the connection's last. tellClosed() follows. */
  finish(data: string | Uint8Array, closes: boolean): void;
  /** Ends the connection at the end of this turn. */
  abort(): void;
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const LAST_CHUNK = '0\r\n\r\n';
/** Text up to this length is put together with its head or frame; longer ones are not copied once more. Characters. */
const MAX_JOINED = 16 * 1024;

/**
 * - plain: the bytes as they are, up to the declared length or the connection's end
 * - chunked: each block with its size
 * - none: there is no body, whatever is written
 */
type Framing = 'plain' | 'chunked' | 'none';

export class WireSink implements ResponseSink {
  readonly #carrier: ResponseCarrier;
  readonly #request: RequestHead;
  /** The head, until it goes out with what comes behind it. */
  #headText = '';
  #framing: Framing = 'plain';
  /** RFC 9112, section 7.1: the last chunk, and the trailers behind it. */
  #lastChunk = LAST_CHUNK;
  #closes = false;
  #isContinued = false;
  #isStarted = false;
  #isOver = false;
  #drained: (() => void) | null = null;
  #closed: (() => void)[] = [];

  constructor(carrier: ResponseCarrier, request: RequestHead) {
    this.#carrier = carrier;
    this.#request = request;
  }

  get isRequestRead(): boolean {
    return this.#carrier.isRequestRead;
  }

  get hasClientEnded(): boolean {
    return this.#carrier.hasClientEnded;
  }

  limitSending(timeoutMs: number): void {
    this.#carrier.limitSending(timeoutMs);
  }

  leaveWithClient(): void {
    this.#carrier.leaveWithClient();
  }

  writeContinue(): void {
    if (this.#isContinued || this.#isStarted || this.#isOver) return;
    this.#isContinued = true;
    this.#carrier.write(CONTINUE);
  }

  writeEarlyHints(fields: readonly string[]): void {
    if (this.#isStarted || this.#isOver || this.#request.version === '1.0') return;
    this.#carrier.write(`HTTP/1.1 103 Early Hints\r\n${writeFieldsText(fields)}\r\n`);
  }

  addTrailers(fields: readonly string[]): void {
    this.#lastChunk = `0\r\n${writeFieldsText(fields)}\r\n`;
  }

  writeHead(head: Head, length: number | null, closes: boolean): boolean {
    if (this.#isOver) return false;
    this.#isStarted = true;
    const { text, hasDate } = writeHeadText(head);
    const isCounted = length !== null || head.contentLength !== null;
    this.#framing = this.#chooseFraming(head, isCounted);
    // A body that neither is counted nor comes in chunks ends with the connection. RFC 9112, section 6.3.
    const isEndless = this.#framing === 'plain' && !isCounted;
    this.#closes =
      closes ||
      isEndless ||
      !this.#request.keepsConnection ||
      this.#carrier.isLastRequest ||
      this.#isUncertain;
    let fields = hasDate ? '' : dateLine();
    if (length !== null) fields += `Content-Length: ${length}\r\n`;
    else if (this.#framing === 'chunked') fields += 'Transfer-Encoding: chunked\r\n';
    this.#headText = `${text}${fields}${this.#describeConnection()}\r\n`;
    return true;
  }

  flushHead(): void {
    if (this.#headText !== '') this.#writeOut('');
  }

  write(block: string | Uint8Array, giveBack?: () => void): boolean {
    if (this.#isOver || this.#framing === 'none') {
      giveBack?.();
      return true;
    }
    this.#carrier.gather();
    if (this.#framing === 'plain') return this.#writeOut(block, giveBack);
    const size = `${block.length.toString(16)}\r\n`;
    if (typeof block === 'string') return this.#writeOut(`${size}${block}\r\n`);
    this.#writeOut(size);
    this.#carrier.write(block, giveBack);
    return this.#carrier.write('\r\n');
  }

  end(block: string | Uint8Array): void {
    if (this.#isOver) return;
    if (this.#framing === 'none') this.#finish('');
    else if (this.#framing === 'plain') this.#finish(block);
    else if (block.length === 0) this.#finish(this.#lastChunk);
    else if (typeof block === 'string')
      this.#finish(`${block.length.toString(16)}\r\n${block}\r\n${this.#lastChunk}`);
    else {
      this.write(block);
      this.#finish(this.#lastChunk);
    }
  }

  abort(): void {
    this.#isOver = true;
    this.#carrier.abort();
  }

  /** Nobody else answers here. */
  answerError(): boolean {
    return false;
  }

  onceDrained(listener: () => void): void {
    this.#drained = listener;
  }

  onceClosed(listener: () => void): void {
    this.#closed.push(listener);
  }

  /** The client has taken all that was written. */
  tellDrained(): void {
    const listener = this.#drained;
    this.#drained = null;
    listener?.();
  }

  /** The response is over, whole or not. */
  tellClosed(): void {
    this.#isOver = true;
    for (const listener of this.#closed.splice(0)) listener();
  }

  /** A client that waits for `100 Continue` may send the body now, or never. RFC 9110, section 10.1.1. */
  get #isUncertain(): boolean {
    return this.#request.expectsContinue && !this.#isContinued && !this.#carrier.isRequestRead;
  }

  /** HTTP/1.0 knows no chunks. RFC 9112, section 7.1. */
  #chooseFraming({ mayHaveBody }: Head, isCounted: boolean): Framing {
    if (!mayHaveBody || this.#request.method === 'HEAD') return 'none';
    return isCounted || this.#request.version === '1.0' ? 'plain' : 'chunked';
  }

  #describeConnection(): string {
    if (this.#closes) return 'Connection: close\r\n';
    const { keepAlive } = this.#carrier;
    return keepAlive === null
      ? 'Connection: keep-alive\r\n'
      : `Connection: keep-alive\r\nKeep-Alive: ${keepAlive}\r\n`;
  }

  /** Sends the head with what follows it. */
  #writeOut(data: string | Uint8Array, giveBack?: () => void): boolean {
    return this.#carrier.write(this.#join(data) ?? data, giveBack);
  }

  #finish(data: string | Uint8Array): void {
    this.#isOver = true;
    this.#carrier.finish(this.#join(data) ?? data, this.#closes);
  }

  /** The head and a short text as one text; null where there is no head, or it goes out by itself. */
  #join(data: string | Uint8Array): string | null {
    const head = this.#headText;
    if (head === '') return null;
    this.#headText = '';
    if (typeof data === 'string' && data.length <= MAX_JOINED) return head + data;
    this.#carrier.gather();
    this.#carrier.write(head);
    return null;
  }
}
