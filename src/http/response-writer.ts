/** Main thread. [8] Head and blocks ► ServerResponse: framing, declared lengths, backpressure. */
import type { ServerResponse } from 'node:http';
import { LidoError } from '../contract/errors.js';
import { endAfter } from './connection.js';
import { buildErrorPage } from './error-page.js';
import { drainRequest, lingerAfter } from './linger.js';
import { setFields } from './preset-fields.js';
import { type Head, parseHead, prefersHtml } from './response-head.js';

/**
 * - unstarted: nothing is on the wire
 * - open: the head is, and blocks may follow
 * - complete: the last byte was handed to node:http
 * - aborted: the connection was destroyed, so that the client cannot take a part for the whole
 */
type State = 'unstarted' | 'open' | 'complete' | 'aborted';

/** Told of bytes that the socket has taken, and of a body that breaks its declared length. */
export interface ResponseEvents {
  acknowledge(bytes: number): void;
  /** The rest of the body is not wanted: the declared length is reached. */
  stop(error: LidoError): void;
}

/** Who the response belongs to until its head goes out: a framework that answers errors in its own way. */
export interface ReplyHost {
  /** The head is about to be written: from here on the response is Lido's. False where the host has answered already. */
  takeOver(): boolean;
  /** Nothing was written, and Lido will write nothing. The fields go with the answer. */
  fail(error: LidoError, fields: Readonly<Record<string, string>>): void;
}

/** Writes one response; uses nothing of ServerResponse that light-my-request does not have. */
export class ResponseWriter {
  readonly #response: ServerResponse;
  readonly #isHead: boolean;
  readonly #sendTimeoutMs: number;
  readonly #host: ReplyHost | null;
  readonly #isDraining: () => boolean;
  #state: State = 'unstarted';
  #head: Head | null = null;
  #written = 0;
  #unacknowledged = 0;
  #isStopped = false;
  #sendTimer: NodeJS.Timeout | null = null;
  #events: ResponseEvents | null = null;
  #keepsConnection: (() => boolean) | null = null;

  /** `sendTimeoutMs`: how long the client may take nothing; 0 for no limit. While draining, connections are not kept. */
  constructor(
    response: ServerResponse,
    sendTimeoutMs: number,
    host: ReplyHost | null = null,
    isDraining: () => boolean = () => false,
  ) {
    this.#host = host;
    this.#isDraining = isDraining;
    this.#response = response;
    this.#sendTimeoutMs = sendTimeoutMs;
    this.#isHead = response.req.method === 'HEAD';
  }

  get state(): State {
    return this.#state;
  }

  get status(): number {
    return this.#response.statusCode;
  }

  /** True while the socket has not taken what was written. */
  get isBlocked(): boolean {
    return this.#unacknowledged > 0;
  }

  /** The connection is closed after the response: where the next request starts is in doubt. */
  closeAfterwards(): void {
    endAfter(this.#response.req);
    this.#keepsConnection = () => false;
  }

  /** The same, unless `keeps` is true by the time that the head goes out. */
  closeUnless(keeps: () => boolean): void {
    this.#keepsConnection = keeps;
  }

  listen(events: ResponseEvents): void {
    this.#events = events;
  }

  /** Writes a response whose body is known whole. Returns what is wrong with its declared length, if anything. */
  writeWhole(wire: string, body: string | Uint8Array): LidoError | null {
    if (!this.#takeOver()) return null;
    const head = parseHead(wire);
    const declared = head.contentLength;
    if (declared !== null && declared !== body.length && head.mayHaveBody && !this.#isHead) {
      this.writeHead(wire, body);
      return this.end();
    }
    this.#startHead(head, body.length);
    this.#state = 'complete';
    this.#endWith(head.mayHaveBody ? body : '');
    return null;
  }

  /** Writes the head, and the first block. */
  writeHead(wire: string, block: string | Uint8Array): void {
    if (!this.#takeOver()) return;
    const head = parseHead(wire);
    this.#startHead(head, null);
    this.#state = 'open';
    // Without a body node:http keeps the head back until the end, which may be long in coming.
    if (this.#isHead || !head.mayHaveBody) this.#response.flushHeaders();
    this.writeBlock(block);
  }

  /** Bytes of the body that are still wanted, once the head is on the wire; null when none was declared. */
  get remaining(): number | null {
    if (this.#state !== 'open' || this.#isHead || this.#head?.mayHaveBody === false) return 0;
    const declared = this.#head?.contentLength ?? null;
    return declared === null ? null : declared - this.#written;
  }

  /**
   * Writes a block, cut off at the declared length; ends the response when that is reached. `giveBack` is called once
   * bytes that are lent are needed no more; it may never be, for what is in nobody's hands when the response closes.
   */
  writeBlock(block: string | Uint8Array, giveBack?: () => void): void {
    if (this.#state !== 'open' || this.#head === null || this.#isHead || !this.#head.mayHaveBody) {
      giveBack?.();
      this.#dropBlock(block);
      return;
    }
    const declared = this.#head.contentLength;
    const room = declared === null ? block.length : declared - this.#written;
    const fits = block.length <= room;
    this.#written += Math.min(block.length, room);
    const last = declared !== null && this.#written >= declared;
    this.#writeBytes(fits ? block : cutOff(block, room), last, giveBack);
    if (!fits) this.#stopExcess();
  }

  /** What cannot be sent: a body where none may be, or what follows the declared length. */
  #dropBlock(block: string | Uint8Array): void {
    if (this.#state === 'complete' && block.length > 0) this.#stopExcess();
    if (this.#state !== 'open') return;
    // Nothing will be written that could tell a client that ended its side from one that is gone: it has the head.
    if (this.#response.req.socket?.readableEnded) this.abort();
    else this.#events?.acknowledge(block.length);
  }

  /** An application may go on for ever behind the length that it declared. */
  #stopExcess(): void {
    const declared = this.#head?.contentLength ?? null;
    if (this.#isStopped || this.#isHead || declared === null) return;
    this.#isStopped = true;
    this.#events?.stop(new LidoError('LIDO_BODY_TOO_LONG', [declared]));
  }

  /** Ends the response; aborts it when less came than was declared. */
  end(): LidoError | null {
    if (this.#state !== 'open') return null;
    const declared = this.#head?.contentLength ?? null;
    const bodiless = this.#isHead || this.#head?.mayHaveBody === false;
    if (declared !== null && this.#written < declared && !bodiless) {
      this.abort();
      return new LidoError('LIDO_BODY_TOO_SHORT', [this.#written, declared]);
    }
    this.#state = 'complete';
    this.#endWith('');
    return null;
  }

  /** Answers with an error before the head went out; afterwards only an abort is honest. `detail` is for the client. */
  writeError(error: LidoError, detail: string): void {
    if (this.#state !== 'unstarted') {
      this.abort();
      return;
    }
    this.#state = 'complete';
    this.#stopKeeping();
    const status = error.status ?? 500;
    const fields: Record<string, string> = status === 503 ? { 'Retry-After': '1' } : {};
    if (this.#keepsConnection?.() === false) fields.Connection = 'close';
    if (this.#host === null) this.#writePage(status, detail, fields);
    else this.#failHost(this.#host, error, fields);
  }

  /** Destroys the connection unless the response is complete. */
  abort(): void {
    if (this.#sendTimer !== null) clearTimeout(this.#sendTimer);
    if (this.#state === 'complete' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    // What was written in this turn goes out at its end: the client may have that.
    process.nextTick(() => this.#response.destroy());
  }

  #writeHead({ status, reason }: Head, fields: string[]): void {
    const response = this.#response;
    if (this.#host === null && response.getHeaderNames().length === 0) {
      response.writeHead(status, reason, fields);
      return;
    }
    setFields(response, fields);
    response.writeHead(status, reason);
  }

  /** A client that keeps its connection must not keep the server from closing. RFC 9112, section 9.6. */
  #stopKeeping(): void {
    if (this.#isDraining()) this.#response.shouldKeepAlive = false;
  }

  /** False where a framework has answered in the meantime, for a time-out of its own: the response is not wanted any more. */
  #takeOver(): boolean {
    if (this.#host === null || this.#host.takeOver()) return true;
    this.#state = 'aborted';
    return false;
  }

  #writePage(status: number, detail: string, fields: Readonly<Record<string, string>>): void {
    const page = buildErrorPage(status, detail, prefersHtml(this.#response.req));
    const length = Buffer.byteLength(page.body);
    this.#response.writeHead(status, { 'Content-Type': page.type, 'Content-Length': length, ...fields });
    this.#endWith(Buffer.from(page.body));
  }

  /** The host ends the response in one go, so that what the client still sends is taken in before. */
  #failHost(host: ReplyHost, error: LidoError, fields: Readonly<Record<string, string>>): void {
    if (this.#lingers) drainRequest(this.#response.req, () => host.fail(error, fields));
    else host.fail(error, fields);
  }

  /** `length` is the body's where it is known: it is declared for the application when it did not do so itself. */
  #startHead(head: Head, length: number | null): void {
    this.#head = head;
    this.#stopKeeping();
    const undeclared = length !== null && head.contentLength === null && head.mayHaveBody;
    // The length of an empty body says nothing about what GET would have returned.
    const declares = undeclared && !(this.#isHead && length === 0);
    const closes = this.#keepsConnection?.() === false;
    let fields = head.fields as string[];
    if (declares) fields = [...fields, 'Content-Length', String(length)];
    if (closes) {
      endAfter(this.#response.req);
      fields = [...fields, 'Connection', 'close'];
    }
    this.#writeHead(head, fields);
  }

  #writeBytes(block: string | Uint8Array, last: boolean, giveBack?: () => void): void {
    if (last) {
      this.#state = 'complete';
      this.#endWith(block);
      this.#events?.acknowledge(block.length);
      return;
    }
    if (block.length === 0) return;
    const taken =
      typeof block === 'string'
        ? this.#response.write(block, 'latin1')
        : this.#response.write(block, giveBack);
    if (taken) {
      this.#events?.acknowledge(block.length);
      return;
    }
    if (this.#unacknowledged === 0) this.#awaitDrain();
    this.#unacknowledged += block.length;
  }

  /** The last bytes; a connection that ends with the response first takes in what the client still sends. */
  #endWith(block: string | Uint8Array): void {
    const response = this.#response;
    if (this.#lingers) {
      if (block.length > 0) response.write(block, 'latin1');
      else response.flushHeaders();
      // The last chunk of a chunked response is written by end() alone.
      if (response.chunkedEncoding) drainRequest(response.req, () => response.end());
      else lingerAfter(response.req, response);
    } else if (typeof block === 'string') response.end(block, 'latin1');
    else response.end(block);
  }

  get #lingers(): boolean {
    const { req: request } = this.#response;
    const isRead = request.complete || request.readableEnded;
    return this.#keepsConnection !== null && !isRead && request.headers.expect === undefined;
  }

  #awaitDrain(): void {
    this.#response.once('drain', this.#acknowledgeAll);
    if (this.#sendTimeoutMs > 0) this.#sendTimer = setTimeout(() => this.abort(), this.#sendTimeoutMs);
  }

  readonly #acknowledgeAll = (): void => {
    if (this.#sendTimer !== null) clearTimeout(this.#sendTimer);
    const bytes = this.#unacknowledged;
    this.#unacknowledged = 0;
    this.#events?.acknowledge(bytes);
  };
}

function cutOff(block: string | Uint8Array, length: number): string | Uint8Array {
  return typeof block === 'string' ? block.slice(0, length) : block.subarray(0, length);
}
