/** What an application does with start_response and write, and how that fits the body. */
import type { Block, Header, StartResponse, Write } from '../../src/contract/wsgi.js';
import { breach, describe, type ProtocolError } from './breach.js';
import { type CheckedHead, checkHead } from './head.js';

export class CheckedResponse {
  readonly #startResponse: StartResponse;
  readonly #method: string;
  #head: CheckedHead | null = null;
  /** Bytes of the body so far. */
  #sent = 0;
  /** The server has closed the body: the request is over. */
  isOver = false;

  constructor(startResponse: StartResponse, method: string) {
    this.#startResponse = startResponse;
    this.#method = method;
  }

  readonly start = (...call: unknown[]): Write => {
    const [status, headers, excInfo] = call;
    if (call.length !== 2 && call.length !== 3)
      throw wrong(
        `called startResponse with ${call.length} arguments`,
        'pass status, headers, and excInfo where a head is replaced',
      );
    const replaces = excInfo !== undefined && excInfo !== null;
    if (this.isOver) throw wrong('called startResponse after its request', 'call it before the body ends');
    if (this.#head !== null && !replaces)
      throw wrong('called startResponse a second time', 'pass the error that makes it necessary as excInfo');
    const head = checkHead(status, headers);
    const write = this.#startResponse(status as string, headers as readonly Header[], excInfo);
    if (typeof write !== 'function')
      throw breach(
        'server',
        'The start_response() Callable',
        `returned ${String(write)} from startResponse`,
        'return a write function',
      );
    if (replaces && this.#sent > 0)
      throw breach(
        'server',
        'The start_response() Callable',
        'took excInfo though the head was sent',
        'throw excInfo',
      );
    this.#head = head;
    return (...args: unknown[]) => {
      if (args.length !== 1)
        throw wrong(`called write with ${args.length} arguments`, 'pass one block', 'The write() Callable');
      if (this.isOver)
        throw wrong('called write after its request', 'write before the body ends', 'The write() Callable');
      write(this.checkBlock(args[0]));
    };
  };

  /** Every block passes here, written or iterated. */
  checkBlock(block: unknown): Block {
    if (typeof block !== 'string' && !(block instanceof Uint8Array))
      throw wrong(
        `sent ${describe(block)} for a block`,
        'a block is a Uint8Array, or a string to be sent as UTF-8',
        'Specification Details',
      );
    if (this.#head === null)
      throw wrong('sent a block before it called startResponse', 'call startResponse first');
    this.#sent += Buffer.byteLength(block);
    const { status, contentLength } = this.#head;
    if (this.#sent > 0 && (status === 204 || status === 304))
      throw wrong(
        `sent a body with ${status}`,
        'that status has none: return []',
        'Handling the Content-Length Header',
      );
    if (contentLength !== null && this.#sent > contentLength)
      throw wrong(
        `sent more than its Content-Length of ${contentLength} bytes`,
        'declare the length of the body, or none',
        'Handling the Content-Length Header',
      );
    return block;
  }

  /** The application has given all its blocks. */
  checkEnd(): void {
    if (this.#head === null) throw wrong('never called startResponse', 'call it before the body ends');
    const { status, contentLength } = this.#head;
    const mayLackBody = this.#method === 'HEAD' || status === 204 || status === 304;
    if (contentLength !== null && this.#sent < contentLength && !mayLackBody)
      throw wrong(
        `sent ${this.#sent} bytes of its Content-Length of ${contentLength}`,
        'declare the length of the body, or none',
        'Handling the Content-Length Header',
      );
  }
}

function wrong(deed: string, instead: string, section = 'The start_response() Callable'): ProtocolError {
  return breach('application', section, deed, instead);
}
