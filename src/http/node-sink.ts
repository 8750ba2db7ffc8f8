/** Main thread. The way out over a ServerResponse; uses nothing of it that light-my-request does not have. */
import type { ServerResponse } from 'node:http';
import { endAfter } from './connection.js';
import { drainRequest, lingerAfter } from './linger.js';
import { setFields } from './preset-fields.js';
import { gatherFields, type Head } from './response-head.js';
import type { ResponseSink } from './response-sink.js';

/** Without a 'checkContinue' listener node:http says 100 itself, and keeps that in a field of its own. */
type KnowsContinue = ServerResponse & { readonly _sent100?: boolean };

export class NodeSink implements ResponseSink {
  readonly #response: KnowsContinue;
  #sendTimeoutMs = 0;
  #sendTimer: NodeJS.Timeout | null = null;
  #closes: boolean;

  /** `closes`: the connection ends with this response, whatever it is. */
  constructor(response: ServerResponse, closes: boolean) {
    this.#response = response;
    this.#closes = closes;
  }

  get isRequestRead(): boolean {
    const { req: request } = this.#response;
    return request.complete || request.readableEnded;
  }

  get hasClientEnded(): boolean {
    return this.#response.req.socket?.readableEnded === true;
  }

  limitSending(timeoutMs: number): void {
    this.#sendTimeoutMs = timeoutMs;
  }

  writeContinue(): void {
    if (this.#response._sent100 !== true) this.#response.writeContinue();
  }

  /** Node refuses some values of Link that RFC 8288 allows: a hint is not worth an error. */
  writeEarlyHints(fields: readonly string[]): void {
    const response = this.#response;
    if (response.headersSent || response.req.httpVersion === '1.0') return;
    try {
      response.writeEarlyHints(Object.fromEntries(gatherFields(fields)));
    } catch {}
  }

  addTrailers(fields: readonly string[]): void {
    this.#response.addTrailers(Object.fromEntries(gatherFields(fields)));
  }

  writeHead(head: Head, length: number | null, closes: boolean): boolean {
    let fields = head.fields as string[];
    if (length !== null) fields = [...fields, 'Content-Length', String(length)];
    if (this.#decideClosing(closes)) fields = [...fields, 'Connection', 'close'];
    const response = this.#response;
    if (response.getHeaderNames().length === 0) response.writeHead(head.status, head.reason, fields);
    else {
      setFields(response, fields);
      response.writeHead(head.status, head.reason);
    }
    return true;
  }

  flushHead(): void {
    this.#response.flushHeaders();
  }

  write(block: string | Uint8Array, giveBack?: () => void): boolean {
    const taken =
      typeof block === 'string'
        ? this.#response.write(block, 'latin1')
        : this.#response.write(block, giveBack);
    if (!taken) this.#watchSending();
    return taken;
  }

  /** A connection that ends with the response first takes in what the client still sends. */
  end(block: string | Uint8Array): void {
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

  abort(): void {
    this.#stopWatching();
    process.nextTick(() => this.#response.destroy());
  }

  answerError(): boolean {
    return false;
  }

  onceDrained(listener: () => void): void {
    this.#response.once('drain', listener);
  }

  onceClosed(listener: () => void): void {
    this.#response.once('close', listener);
  }

  /** What comes behind the connection's last answer is not looked at. RFC 9112, section 9.6. */
  #decideClosing(closes: boolean): boolean {
    if (closes) this.#closes = true;
    if (this.#closes) endAfter(this.#response.req);
    return this.#closes;
  }

  /** A client that waits for `100 Continue` sends nothing that would have to be taken in. */
  get #lingers(): boolean {
    const waits = this.#response.req.headers.expect !== undefined && this.#response._sent100 !== true;
    return this.#closes && !this.isRequestRead && !waits;
  }

  #watchSending(): void {
    if (this.#sendTimeoutMs === 0 || this.#sendTimer !== null) return;
    this.#sendTimer = setTimeout(() => this.#response.destroy(), this.#sendTimeoutMs);
    this.#response.once('drain', this.#stopWatching).once('close', this.#stopWatching);
  }

  readonly #stopWatching = (): void => {
    if (this.#sendTimer === null) return;
    clearTimeout(this.#sendTimer);
    this.#sendTimer = null;
    this.#response.off('drain', this.#stopWatching).off('close', this.#stopWatching);
  };
}
