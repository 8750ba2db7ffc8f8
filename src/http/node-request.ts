/** Main thread. A request that node:http parsed, or something that speaks its interface, as Lido needs it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Budget } from './budget.js';
import {
  awaitTurn,
  type Connection,
  countAnswer,
  countInBudget,
  countRequest,
  describeConnection,
  endAfter,
  isBehindLast,
} from './connection.js';
import { buildEnviron, type EnvironContext } from './environ.js';
import { checkRequest, type GateLimits, type Refusal } from './gate.js';
import { NodeSink } from './node-sink.js';
import { findHeldSocket } from './node-upgrade.js';
import type { BodyFlow, BodyReceiver, HttpRequest, TakenSocket } from './request.js';
import { prefersHtml } from './response-head.js';
import type { ResponseSink } from './response-sink.js';

/** Makes the way out of one response; `closes`: the connection ends with it, whatever it is. */
export type MakeSink = (closes: boolean) => ResponseSink;

/**
 * Takes a request in, and hands it on when its turn comes: when all before it on its connection are answered. Those may
 * change what it is about, and one client must not fill the backlog. RFC 9112, section 9.3.2. `makeSink` is for responses
 * that are not written to node:http directly; `budget` counts what waits, if anybody does.
 */
export function takeIn(
  request: IncomingMessage,
  response: ServerResponse,
  makeSink: MakeSink | null,
  budget: Budget | null,
  handle: (request: HttpRequest, sink: ResponseSink) => void,
): void {
  // The client may be gone since node:http told of the request: workers start, and a framework's hooks take their time.
  if (request.socket.destroyed) return;
  if (budget !== null) countInBudget(request, budget);
  // Node may still tell of requests behind one whose answer ends the connection; who sent them may be in doubt.
  if (isBehindLast(request)) return;
  const takeSocket = findHeldSocket(request);
  const own = takeSocket === null ? new NodeRequest(request) : new UpgradeRequest(request, takeSocket);
  countRequest(request);
  // node:http drops, unseen, what follows in the same packet: the next request's start is in doubt.
  const isUpgrade = request.headers.upgrade !== undefined;
  if (isUpgrade) endAfter(request);
  const loseTurn = () => countAnswer(request);
  const takeTurn = () => {
    response.once('close', loseTurn);
    // A framework may have answered it.
    if (!response.writableEnded) handle(own, makeSink?.(isUpgrade) ?? new NodeSink(response, isUpgrade));
  };
  if (response.socket === null) awaitTurn(request, response, { takeTurn, loseTurn });
  else takeTurn();
}

class NodeRequest implements HttpRequest, BodyFlow {
  readonly #request: IncomingMessage;
  readonly bodyLength: number | null;
  #receiver: BodyReceiver | null = null;
  #isListening = false;
  /** Fields that a trailer may have: they count with those of the head. */
  #fieldsLeft = Number.POSITIVE_INFINITY;

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.bodyLength = measureBody(request);
  }

  get method(): string {
    return this.#request.method as string;
  }

  get target(): string {
    return this.#request.url as string;
  }

  get version(): string {
    return this.#request.httpVersion;
  }

  get headers(): HttpRequest['headers'] {
    return this.#request.headers;
  }

  field(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  get prefersHtml(): boolean {
    return prefersHtml(this.#request.headers.accept);
  }

  get connection(): Connection {
    return describeConnection(this.#request);
  }

  /** An HTTP/1.0 client's expectation is ignored. */
  get expectsContinue(): boolean {
    const { headers, httpVersionMinor } = this.#request;
    return httpVersionMinor > 0 && headers.expect?.toLowerCase() === '100-continue';
  }

  get isBodyLost(): boolean {
    return this.bodyLength !== 0 && this.#request.readableDidRead;
  }

  check(limits: GateLimits): Refusal | null {
    if (limits.fields > 0) this.#fieldsLeft = limits.fields - this.#request.rawHeaders.length / 2;
    return checkRequest(this.#request, limits);
  }

  buildEnviron(connection: Connection, context: EnvironContext): string {
    return buildEnviron(this.#request, connection, context);
  }

  feedBody(receiver: BodyReceiver): BodyFlow {
    this.#receiver = receiver;
    return this;
  }

  resume(): void {
    if (this.#isListening) this.#request.resume();
    else {
      this.#isListening = true;
      this.#request.on('data', this.#onData).on('end', this.#onEnd);
    }
  }

  pause(): void {
    this.#request.pause();
  }

  stop(): void {
    this.#receiver = null;
    this.#request.off('data', this.#onData).off('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => this.#receiver?.push(chunk);

  readonly #onEnd = (): void => {
    const { rawTrailers = [] } = this.#request;
    if (rawTrailers.length / 2 > this.#fieldsLeft) this.#receiver?.fail(431);
    else this.#receiver?.end(rawTrailers.filter((_, index) => index % 2 === 0));
  };
}

/** A request whose connection can be taken over. */
class UpgradeRequest extends NodeRequest {
  readonly takeSocket: () => TakenSocket | null;

  constructor(request: IncomingMessage, takeSocket: () => TakenSocket | null) {
    super(request);
    this.takeSocket = takeSocket;
  }
}

/** RFC 9112, section 6.3: a request has a body when Content-Length or Transfer-Encoding says so. */
function measureBody({ headers }: IncomingMessage): number | null {
  if (headers['transfer-encoding'] !== undefined) return null;
  return Number(headers['content-length'] ?? 0) || 0;
}
