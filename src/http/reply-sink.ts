/**
 * Main thread. The way out through a framework's reply: its hooks see the fields and the body of an answer before they
 * go out, and may change both.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import type { LidoError } from '../contract/errors.js';
import { endAfter } from './connection.js';
import { drainRequest } from './linger.js';
import { NodeSink } from './node-sink.js';
import { gatherFields, type Head } from './response-head.js';
import type { ResponseSink } from './response-sink.js';

/** What is needed of a framework's reply; Fastify's has it. */
export interface FrameworkReply {
  readonly raw: ServerResponse;
  /** True once somebody has answered. */
  readonly sent: boolean;
  getHeader(name: string): number | string | string[] | undefined;
  header(name: string, value: string | string[]): unknown;
  removeHeader(name: string): unknown;
}

/** How the framework answers: in the request's own asynchronous context, which hooks and tracing ask for. */
export interface ReplyActions {
  /** Runs the hooks, then sends; without a body where there is no payload. */
  send(payload?: Buffer | Readable): void;
  /** Answers an error in the framework's own way, with these fields. */
  fail(error: LidoError, fields: Readonly<Record<string, string>>): void;
  /** Runs what streams of the hooks' and the response's end are called from. */
  run<T>(action: () => T): T;
}

/** How much of a body may wait for the client here, beyond what node:http holds. Bytes. */
const HIGH_WATER_MARK = 64 * 1024;
/** Of these the application's do not replace what hooks have set: they join it. */
const JOINED_FIELDS = new Set(['set-cookie', 'vary']);

export class ReplySink implements ResponseSink {
  readonly #reply: FrameworkReply;
  readonly #request: IncomingMessage;
  readonly #actions: ReplyActions;
  /** What is the same for every response of node:http. */
  readonly #plain: NodeSink;
  #closes: boolean;
  #hasType = false;
  /** The body where it comes in blocks; null until the first one. */
  #body: BlockStream | null = null;
  #sendTimeoutMs = 0;
  #sendTimer: NodeJS.Timeout | null = null;

  /** `closes`: the connection ends with this response, whatever it is. */
  constructor(reply: FrameworkReply, actions: ReplyActions, closes: boolean) {
    this.#reply = reply;
    this.#request = reply.raw.req;
    this.#actions = actions;
    this.#plain = new NodeSink(reply.raw, closes);
    this.#closes = closes;
  }

  get isRequestRead(): boolean {
    return this.#plain.isRequestRead;
  }

  get hasClientEnded(): boolean {
    return this.#plain.hasClientEnded;
  }

  limitSending(timeoutMs: number): void {
    this.#sendTimeoutMs = timeoutMs;
  }

  writeContinue(): void {
    this.#plain.writeContinue();
  }

  writeEarlyHints(fields: readonly string[]): void {
    this.#plain.writeEarlyHints(fields);
  }

  /** A body that is given to the hooks whole would be counted. */
  addTrailers(fields: readonly string[]): void {
    this.#openBody();
    this.#plain.addTrailers(fields);
  }

  writeHead({ status, reason, fields }: Head, length: number | null, closes: boolean): boolean {
    const reply = this.#reply;
    if (reply.sent) return false;
    const { raw } = reply;
    raw.statusCode = status;
    if (reason !== STATUS_CODES[status]) raw.statusMessage = reason;
    const isReframed = this.#dropFraming();
    // Hooks may give the body a length: there, node:http throws where trailers are announced.
    for (const [name, values] of gatherFields(fields)) if (name !== 'trailer') this.#setField(name, values);
    if (length !== null) reply.header('content-length', String(length));
    if (this.#decideClosing(closes || isReframed)) reply.header('connection', 'close');
    return true;
  }

  /** The head goes out once the hooks have had it. */
  flushHead(): void {
    this.#openBody().whenRead(() => this.#reply.raw.flushHeaders());
  }

  /** Hooks may hold on to what they are given, so the bytes that are lent are copied. */
  write(block: string | Uint8Array, giveBack?: () => void): boolean {
    const bytes = typeof block === 'string' ? Buffer.from(block, 'latin1') : Buffer.from(block);
    giveBack?.();
    const isTaken = this.#push(this.#openBody(), bytes);
    if (!isTaken) this.#watchSending();
    return isTaken;
  }

  /** A whole body is given to the hooks as a Buffer; a connection that ends with it first takes in what the client still sends. */
  end(block: string | Uint8Array): void {
    const bytes =
      typeof block === 'string'
        ? Buffer.from(block, 'latin1')
        : Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    const isWhole = this.#body === null && !this.#lingers;
    const isHead = this.#request.method === 'HEAD';
    if (isWhole && (bytes.length === 0 || isHead)) this.#actions.send();
    // Fastify would call a Buffer without a type application/octet-stream.
    else if (isWhole && this.#hasType) this.#actions.send(bytes);
    else this.#endBody(bytes);
  }

  /** What was written in this turn goes out in the next one. */
  abort(): void {
    this.#stopWatching();
    setImmediate(() => this.#actions.run(() => this.#reply.raw.destroy()));
  }

  answerError(error: LidoError, fields: Readonly<Record<string, string>>, closes: boolean): boolean {
    const all = this.#decideClosing(closes) ? { ...fields, connection: 'close' } : fields;
    // Fastify ends the response in one go, so that what the client still sends is taken in before.
    if (this.#lingers) drainRequest(this.#request, () => this.#actions.fail(error, all));
    else this.#actions.fail(error, all);
    return true;
  }

  onceDrained(listener: () => void): void {
    this.#body?.whenRead(listener);
  }

  onceClosed(listener: () => void): void {
    this.#plain.onceClosed(listener);
  }

  /**
   * How the body is framed is for the application and Lido to say. True where that leaves its end to the connection's:
   * node:http does not choose a transfer coding any more once the field was removed.
   */
  #dropFraming(): boolean {
    const reply = this.#reply;
    if (reply.getHeader('content-length') !== undefined) reply.removeHeader('content-length');
    if (reply.getHeader('transfer-encoding') === undefined) return false;
    reply.removeHeader('transfer-encoding');
    return true;
  }

  #setField(name: string, values: readonly string[]): void {
    const reply = this.#reply;
    if (name === 'content-type') this.#hasType = true;
    // Fastify itself adds to the cookies that are there.
    const preset =
      name === 'vary' ? reply.getHeader(name) : name === 'set-cookie' ? readRaw(reply, name) : [];
    const all = JOINED_FIELDS.has(name) ? [preset ?? [], values].flat().map(String) : values;
    reply.header(name, all.length === 1 ? (all[0] as string) : [...all]);
  }

  #openBody(): BlockStream {
    if (this.#body !== null) return this.#body;
    const body = new BlockStream();
    this.#body = body;
    this.#reply.raw.once('close', () => body.destroy());
    this.#actions.send(body);
    return body;
  }

  #endBody(bytes: Buffer): void {
    const body = this.#openBody();
    if (bytes.length > 0 && !this.#push(body, bytes)) this.#watchSending();
    if (this.#lingers) drainRequest(this.#request, () => this.#push(body, null));
    else this.#push(body, null);
  }

  #push(body: BlockStream, bytes: Buffer | null): boolean {
    return this.#actions.run(() => body.push(bytes));
  }

  /** What comes behind the connection's last answer is not looked at. RFC 9112, section 9.6. */
  #decideClosing(closes: boolean): boolean {
    if (closes) this.#closes = true;
    if (this.#closes) endAfter(this.#request);
    return this.#closes;
  }

  /** A client that waits for `100 Continue` sends nothing that would have to be taken in. */
  get #lingers(): boolean {
    return this.#closes && !this.isRequestRead && this.#request.headers.expect === undefined;
  }

  #watchSending(): void {
    if (this.#sendTimeoutMs === 0 || this.#sendTimer !== null) return;
    this.#sendTimer = setTimeout(() => this.#reply.raw.destroy(), this.#sendTimeoutMs);
    this.#body?.whenRead(this.#stopWatching);
    this.#reply.raw.once('close', this.#stopWatching);
  }

  readonly #stopWatching = (): void => {
    if (this.#sendTimer === null) return;
    clearTimeout(this.#sendTimer);
    this.#sendTimer = null;
    this.#reply.raw.off('close', this.#stopWatching);
  };
}

/** A body as a stream that is pushed to, and tells once when all that was pushed is read. */
class BlockStream extends Readable {
  #listeners: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: HIGH_WATER_MARK });
  }

  /** Calls back when whoever reads has taken all there was, and asks for more. */
  whenRead(listener: () => void): void {
    this.#listeners.push(listener);
  }

  override _read(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

/** What middleware has set behind the framework's back. */
function readRaw({ raw }: FrameworkReply, name: string): string | string[] {
  const value = raw.getHeader(name);
  return Array.isArray(value) ? value : value === undefined ? [] : String(value);
}
