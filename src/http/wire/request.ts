/** Main thread. A request that Lido's own parser read. */
import type { Connection } from '../connection.js';
import type { Departure } from '../departure.js';
import { composeEnviron, type EnvironContext, keyOfField } from '../environ.js';
import type { GateLimits, Refusal } from '../gate.js';
import type { BodyFlow, BodyReceiver, HttpRequest, TakenSocket } from '../request.js';
import { prefersHtml } from '../response-head.js';
import { type BodyReader, CountedBody } from './body-reader.js';
import { ChunkedBody } from './chunked-body.js';
import type { HeadLimits, RequestHead } from './head-parser.js';

/** What a request asks of its connection: to read on where a body is wanted, to stop where it is not, to leave. */
export interface BodyCarrier {
  /** The body is wanted now, or not any more. */
  regulate(body: WireBody): void;
  /** Gives itself away with the request of this head. */
  leaveWith(head: RequestHead, body: string): Departure | null;
  takeSocket(): TakenSocket | null;
}

export class WireRequest implements HttpRequest {
  readonly #head: RequestHead;
  readonly #carrier: BodyCarrier;
  readonly connection: Connection;
  readonly isBodyLost = false;
  /** Null where there is no body. */
  readonly body: WireBody | null;

  constructor(head: RequestHead, connection: Connection, limits: HeadLimits, carrier: BodyCarrier) {
    this.#head = head;
    this.#carrier = carrier;
    this.connection = connection;
    this.body = head.bodyLength === 0 ? null : new WireBody(head, limits, carrier);
  }

  get method(): string {
    return this.#head.method;
  }

  get target(): string {
    return this.#head.target;
  }

  get version(): string {
    return this.#head.version;
  }

  get headers(): HttpRequest['headers'] {
    return this.#head.fields.toHeaders();
  }

  field(name: string): string | undefined {
    return this.#head.fields.get(keyOfField(name));
  }

  get prefersHtml(): boolean {
    return prefersHtml(this.#head.fields.get('HTTP_ACCEPT'));
  }

  get bodyLength(): number | null {
    return this.#head.bodyLength;
  }

  get expectsContinue(): boolean {
    return this.#head.expectsContinue;
  }

  /** The parser has held it to the grammar, and to the widest limits of all applications. */
  check(limits: GateLimits): Refusal | null {
    const { refusal, lineLength, fieldCount, longestField, bodyLength } = this.#head;
    if (refusal !== null) return refusal;
    if (exceeds(lineLength, limits.requestLine))
      return { status: 414, reason: 'the request line is too long' };
    if (exceeds(fieldCount, limits.fields)) return { status: 431, reason: 'too many header fields' };
    if (exceeds(longestField, limits.fieldSize)) return { status: 431, reason: 'a header field is too long' };
    if (exceeds(bodyLength ?? 0, limits.maxBodySize)) return { status: 413, reason: 'the body is too large' };
    return null;
  }

  buildEnviron(connection: Connection, context: EnvironContext): string {
    return composeEnviron(this.#head, context.url ?? this.#head.target, connection, context);
  }

  feedBody(receiver: BodyReceiver): BodyFlow {
    const body = this.body as WireBody;
    body.receiver = receiver;
    return body;
  }

  leave(body: string): Departure | null {
    return this.#carrier.leaveWith(this.#head, body);
  }

  takeSocket(): TakenSocket | null {
    return this.#carrier.takeSocket();
  }
}

function exceeds(size: number, limit: number): boolean {
  return limit > 0 && size > limit;
}

/** A body on its way from the connection to its receiver. */
export class WireBody implements BodyFlow {
  readonly #carrier: BodyCarrier;
  readonly reader: BodyReader;
  receiver: BodyReceiver | null = null;
  /** Whether bytes may be given to the receiver now. */
  isWanted = false;
  /** Whether they are read and dropped. */
  isStopped = false;
  /** What came is no body. */
  isBroken = false;

  constructor({ bodyLength, fieldCount }: RequestHead, limits: HeadLimits, carrier: BodyCarrier) {
    this.#carrier = carrier;
    this.reader = bodyLength === null ? new ChunkedBody(limits, fieldCount) : new CountedBody(bodyLength);
  }

  get isWhole(): boolean {
    return this.reader.isWhole;
  }

  /** Whether what comes now is read, to be given to the receiver or to be dropped. */
  get isOpen(): boolean {
    return !this.isWhole && !this.isBroken && (this.isWanted || this.isStopped);
  }

  /** Bytes that are still to come where they are worth a way of their own; else 0. */
  get longRest(): number {
    return this.isWanted && !this.isStopped && !this.isBroken ? this.reader.longRest : 0;
  }

  resume(): void {
    this.isWanted = true;
    this.#carrier.regulate(this);
  }

  pause(): void {
    this.isWanted = false;
    this.#carrier.regulate(this);
  }

  /** What came is no body. */
  break(status: number): void {
    this.isBroken = true;
    this.receiver?.fail(status);
  }

  stop(): void {
    this.isStopped = true;
    this.receiver = null;
    this.#carrier.regulate(this);
  }
}
