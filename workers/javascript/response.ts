// Worker thread. One response as PEP 3333 lets it come about: start_response, write, blocks, failure.
import { LidoError, toPayload, traceOf } from '../../src/contract/errors.js';
import { MAX_HEAD, SMALL_FILE } from '../../src/contract/protocol.js';
import type { Block, ExcInfo, FileLike, Header, Write } from '../../src/contract/wsgi.js';
import type { Sender } from '../sender.js';
import { measureFile } from './file-wrapper.js';
import { buildHead, buildHints, declareLength, declaresLength } from './head.js';

type State = 'unstarted' | 'started' | 'sending' | 'over';

/** Holds the head back until the first block that is not empty, as PEP 3333 demands ("The start_response() Callable"). */
export class Response {
  readonly #sender: Sender;
  #state: State = 'unstarted';
  #head = '';
  /** Characters of early hints. */
  #hinted = 0;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  readonly start = (status: string, headers: readonly Header[], excInfo?: ExcInfo): Write => {
    const replaces = excInfo !== undefined && excInfo !== null;
    if (replaces && (this.#state === 'sending' || this.#state === 'over')) throw excInfo;
    if (this.#state !== 'unstarted' && !replaces) throw new LidoError('LIDO_RESPONSE_STARTED_TWICE');
    this.#head = buildHead(status, headers);
    this.#state = 'started';
    return this.#write;
  };

  /** `wsgi.early_hints`: 103, with these fields; of no use once the head is out. RFC 8297. */
  readonly giveHints = (headers: readonly Header[]): void => {
    if (this.#state === 'sending' || this.#state === 'over') return;
    const hints = buildHints(headers);
    this.#hinted += hints.length;
    if (this.#hinted > MAX_HEAD) throw new LidoError('LIDO_MALFORMED_HEADER', ['list: it is too large']);
    if (hints !== '') this.#sender.giveHints(hints);
  };

  get clientGone(): boolean {
    return this.#sender.clientGone;
  }

  /** Sends a block; blocks the thread while the client is slow. */
  send(block: Block): void {
    const bytes = this.#prepare(block);
    if (bytes.byteLength === 0) return;
    if (this.#state === 'sending') this.#sender.sendBlock(bytes);
    else this.#sendHead(bytes);
  }

  /** Sends a block; waits for a slow client without blocking the thread. */
  async sendAsync(block: Block): Promise<void> {
    const bytes = this.#prepare(block);
    if (bytes.byteLength === 0) return;
    if (this.#state === 'sending') await this.#sender.sendBlockAsync(bytes);
    else this.#sendHead(bytes);
  }

  /** Sends the whole body, of one block or none, and ends. */
  sendWhole(blocks: readonly Block[]): void {
    if (this.#state === 'sending') {
      if (blocks.length > 0) this.send(blocks[0] as Block);
      this.end();
      return;
    }
    const bytes = blocks.length === 0 ? '' : this.#prepare(blocks[0] as Block);
    if (this.#state === 'unstarted') throw new LidoError('LIDO_RESPONSE_NOT_STARTED');
    this.#state = 'over';
    this.#sender.respond(this.#head, bytes);
  }

  /** Leaves the body to the main thread where it is a regular file of some size; false where it has to go by blocks. */
  sendFile(file: FileLike): boolean {
    const part = this.#state === 'started' ? measureFile(file) : null;
    if (part === null) return false;
    this.#head = declareLength(this.#head, part.length);
    if (part.length < SMALL_FILE || !this.#sender.sendFile(this.#head, part)) return false;
    this.#state = 'sending';
    return true;
  }

  /** Lets a client that cannot count have the end of the body before close() runs, which may take its time. */
  endBody(): void {
    if (this.#state === 'sending' && !this.clientGone && !declaresLength(this.#head)) this.#sender.endBody();
  }

  /** Ends the response; a body that stayed empty sends its head now. */
  end(): void {
    if (this.#state === 'unstarted') throw new LidoError('LIDO_RESPONSE_NOT_STARTED');
    if (this.#state === 'started') this.#sender.respond(this.#head, '');
    else if (this.#state === 'sending') this.#sender.end();
    this.#state = 'over';
  }

  /** Ends the request of a client that is gone; nothing more is sent. */
  abandon(): void {
    this.#state = 'over';
    this.#sender.end();
  }

  /** The body was whole before close() failed: the client gets it, the log gets the error. */
  reportCloseError(error: unknown): void {
    this.#sender.log('error', `close() failed: ${traceOf(error)}`);
  }

  /** Ends the request with an error; nothing if the response is over already. */
  fail(error: unknown): void {
    if (this.#state === 'over') {
      this.#sender.log('error', traceOf(error));
      return;
    }
    // Nobody's failure, and nobody waits for an answer.
    if (comesOfDeparture(error)) {
      this.abandon();
      return;
    }
    this.#state = 'over';
    const payload = toPayload(error);
    this.#sender.fail({ ...payload, traceback: payload.traceback ?? traceOf(error) });
  }

  readonly #write: Write = (block) => this.send(block);

  #sendHead(bytes: Uint8Array): void {
    this.#state = 'sending';
    this.#sender.sendHead(this.#head, bytes);
  }

  #prepare(block: Block): Uint8Array {
    const bytes = typeof block === 'string' ? Buffer.from(block) : block;
    if (!(bytes instanceof Uint8Array)) throw new LidoError('LIDO_BLOCK_NOT_BYTES', [nameType(bytes)]);
    if (this.#state === 'unstarted' && bytes.byteLength > 0) throw new LidoError('LIDO_RESPONSE_NOT_STARTED');
    // Its slot may be another request's by now: to wait for this one's window would hold that one up.
    if (this.#state === 'over') throw new LidoError('LIDO_WRONG_THREAD', ['its request is over']);
    return bytes;
  }
}

/** The client left while its request's body was read, or that was thrown on as another error's cause. */
function comesOfDeparture(error: unknown): boolean {
  try {
    const reasons = error instanceof Error ? [error, error.cause] : [];
    return reasons.some((reason) => reason instanceof LidoError && reason.code === 'LIDO_CLIENT_GONE');
  } catch {
    // What was thrown may be a proxy that throws when it is looked at.
    return false;
  }
}

/** What a value is, in words for an error message. */
export function nameType(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
  const name = String(value.constructor?.name ?? 'object');
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`;
}
