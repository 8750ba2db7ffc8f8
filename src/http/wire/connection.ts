/**
 * Main thread. One client's connection: reads one request after the other, has each answered before it looks at the next,
 * and ends so that the last answer is not lost. RFC 9112, section 9.
 */
import type { Socket } from 'node:net';
import type { Account, Holder } from '../budget.js';
import type { Connection } from '../connection.js';
import type { Departure } from '../departure.js';
import type { Refusal } from '../gate.js';
import { LINGER_MS } from '../linger.js';
import type { TakenSocket } from '../request.js';
import type { ConnectionOptions } from './connection-options.js';
import type { RequestHead } from './head-parser.js';
import { formatLastAnswer } from './last-answer.js';
import { lull } from './lull.js';
import { Outlet } from './outlet.js';
import { type BodyCarrier, type WireBody, WireRequest } from './request.js';
import { HALF_CLOSE_MS, RequestReader, type RequestTaker } from './request-reader.js';
import { type ResponseCarrier, WireSink } from './sink.js';
import { stopReading } from './stop-reading.js';

/**
 * - idle: between two requests, or before the first
 * - head: a head has begun
 * - request: a request is with its application; its body may still come
 * - lingering: the last answer is written; what still comes is dropped
 * - taken: another protocol goes on with the socket
 * - over: the socket is closed, or another process goes on with it
 */
type State = 'idle' | 'head' | 'request' | 'lingering' | 'taken' | 'over';

export class HttpConnection implements BodyCarrier, Holder, RequestTaker, ResponseCarrier {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #describeClient: () => Connection;
  readonly keepAlive: string | null;
  readonly #account: Account;
  readonly #reader: RequestReader;
  readonly #outlet: Outlet;
  /** Null until the first request. */
  #client: Connection | null = null;
  #state: State = 'idle';
  /** When the state began. performance.now(). */
  #since = performance.now();
  /** Null once the response is written, while what is left of the body is read. */
  #sink: WireSink | null = null;
  /** The current response is of no use to a client that has ended its side. */
  #leavesWithClient = false;
  #closesAfter = false;
  #requests: number;

  /** `describeClient` is asked when the first request has come. `answered`: requests that another process answered here. */
  constructor(
    socket: Socket,
    options: ConnectionOptions,
    keepAlive: string | null,
    describeClient: () => Connection,
    answered = 0,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.keepAlive = keepAlive;
    this.#describeClient = describeClient;
    this.#requests = answered;
    this.#account = options.budget.open(this);
    // Heads are kept where their requests can leave.
    this.#reader = new RequestReader(socket, options.limits, options.address !== null, this);
    this.#outlet = new Outlet(socket, options.sendTimeoutMs);
    socket
      .on('drain', this.#hearDrain)
      .on('error', () => {}) // 'close' follows, and says enough
      .on('close', () => this.#end());
  }

  /** Ends the connection unless an answer is due or on its way. The client is told, though a forked process may have the socket, too. */
  closeIdle(): void {
    const isBusy = this.#state === 'request' || this.#state === 'taken' || !this.#reader.isEmpty;
    if (!isBusy && this.#outlet.length === 0) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Since when nobody waits for an answer here, and none is on its way; null where somebody does, or it is over. performance.now(). */
  get idleSince(): number | null {
    const isIdle = this.#state === 'idle' && this.#reader.isEmpty && !this.#socket.destroyed;
    return isIdle && this.#outlet.length === 0 ? this.#since : null;
  }

  /** True when the socket is closed, or another process goes on with it. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  // ---- Time-outs and limits -----------------------------------------------------------------------------

  /** Ends what is overdue. To be called again and again. */
  check(now: number): void {
    // What has come in a lull may be what a time-out waits for.
    const waitsForLull = lull.isHere && !this.#reader.isEmpty;
    if (this.#state === 'taken' || waitsForLull) return;
    const { headerTimeoutMs, keepAliveMs } = this.#options;
    const age = now - this.#since;
    const isFirst = this.#client === null;
    if (this.#state === 'head' || (this.#state === 'idle' && isFirst)) {
      if (isOver(age, headerTimeoutMs)) this.refuse({ status: 408, reason: 'the head took too long' });
    } else if (this.#state === 'idle' && isOver(age, keepAliveMs)) this.#linger();
    else if (this.#state === 'request' && this.#isLeft(now)) this.#socket.destroy();
    else if (this.#state === 'lingering' && age >= LINGER_MS) this.#socket.destroy();
    if (this.#outlet.isStuck(now)) this.#socket.destroy();
    this.count();
  }

  #isLeft(now: number): boolean {
    const { endedAt } = this.#reader;
    return endedAt !== null && this.#leavesWithClient && now - endedAt >= HALF_CLOSE_MS;
  }

  /** For the budget: it holds more than others, and there is little room. */
  relieve(): void {
    this.#reader.relieve(true);
  }

  /** For the budget. */
  resume(): void {
    this.#reader.relieve(false);
  }

  /** What was not looked at, the head, and what the client has not taken; the last is looked at only now and then. */
  count(): void {
    if (this.#state === 'over') return;
    this.#account.add(this.#reader.held + this.#outlet.length - this.#account.held);
  }

  // ---- What comes ---------------------------------------------------------------------------------------

  hearHead(isWithin: boolean): void {
    this.#enter(isWithin ? 'head' : 'idle');
  }

  begin(head: RequestHead): void {
    this.#client ??= this.#describeClient();
    const request = new WireRequest(head, this.#client, this.#options.limits, this);
    const sink = new WireSink(this, head);
    this.#reader.expect(request.body);
    this.#sink = sink;
    this.#requests += 1;
    this.#closesAfter = this.#requests === this.#options.mostRequests;
    this.#leavesWithClient = false;
    this.#enter('request');
    this.#options.handle(request, sink);
  }

  /** One answer that no application gives, and the end of the connection. */
  refuse(refusal: Refusal): void {
    this.#client ??= this.#describeClient();
    this.#options.refused(refusal, this.#client);
    this.#outlet.write(formatLastAnswer(refusal));
    this.#linger();
  }

  regulate(body: WireBody): void {
    this.#reader.regulate(body);
  }

  finishBody(): void {
    if (this.#sink === null) this.#goOn();
  }

  breakBody(): void {
    this.#closesAfter = true;
    if (this.#sink === null) this.#linger();
  }

  hearEnd(): void {
    this.#linger();
  }

  lose(): void {
    this.#socket.destroy();
  }

  get isLastRequest(): boolean {
    return this.#closesAfter;
  }

  get isRequestRead(): boolean {
    return this.#reader.isRequestRead;
  }

  get hasClientEnded(): boolean {
    return this.#reader.endedAt !== null;
  }

  // ---- What goes ----------------------------------------------------------------------------------------

  limitSending(timeoutMs: number): void {
    this.#outlet.limit(timeoutMs);
  }

  leaveWithClient(): void {
    this.#leavesWithClient = true;
  }

  write(data: string | Uint8Array, taken?: () => void): boolean {
    return this.#outlet.write(data, taken);
  }

  gather(): void {
    this.#outlet.gather();
  }

  readonly #hearDrain = (): void => this.#sink?.tellDrained();

  finish(data: string | Uint8Array, closes: boolean): void {
    if (closes) this.#closesAfter = true;
    if (data.length === 0 && this.#outlet.length === 0) process.nextTick(this.#conclude);
    else this.#outlet.write(data, this.#conclude);
  }

  abort(): void {
    process.nextTick(() => this.#socket.destroy());
  }

  // ---- From one request to the next, and the end --------------------------------------------------------

  #enter(state: State): void {
    this.#state = state;
    this.#since = performance.now();
  }

  /** The socket has taken the last byte of the response. */
  readonly #conclude = (): void => {
    if (this.#state !== 'request' || this.#socket.destroyed) return;
    const sink = this.#sink;
    this.#sink = null;
    sink?.tellClosed();
    if (this.#closesAfter) this.#linger();
    else if (this.isRequestRead) this.#goOn();
    else this.#reader.dropBody();
  };

  #goOn(): void {
    this.#enter('idle');
    this.#reader.next();
  }

  /**
   * Ends this side, and goes on reading for a while: a connection that is closed while bytes are unread is reset, and the
   * client may lose an answer that it has not read yet.
   */
  #linger(): void {
    if (this.#state === 'lingering' || this.#state === 'over') return;
    this.#enter('lingering');
    this.#socket.end();
    this.#reader.drop();
  }

  /** What has come behind the request is the next protocol's. */
  takeSocket(): TakenSocket | null {
    const socket = this.#socket;
    if (this.#state !== 'request' || socket.destroyed || this.hasClientEnded) return null;
    this.#state = 'taken';
    this.#account.close();
    socket.off('drain', this.#hearDrain);
    return { socket, head: this.#reader.leave() };
  }

  /** What was read and not answered goes along; what comes from now on is for whoever gets the socket. */
  leaveWith({ expectsContinue, bodyLength }: RequestHead, body: string): Departure | null {
    const { address } = this.#options;
    const socket = this.#socket;
    const isAsItCame = this.isRequestRead && bodyLength !== null && !expectsContinue && !this.hasClientEnded;
    const isQuiet = this.#outlet.length === 0 && socket.readableLength === 0 && !socket.destroyed;
    const client = this.#client;
    if (this.#state !== 'request' || address === null || client === null || !isAsItCame || !isQuiet)
      return null;
    if (!stopReading(socket)) return null;
    const text = this.#reader.copyText(body);
    this.#sink = null;
    this.#end();
    return { socket, address, luggage: { text, client, answered: this.#requests - 1 } };
  }

  #end(): void {
    this.#state = 'over';
    this.#reader.close();
    this.#account.close();
    const sink = this.#sink;
    this.#sink = null;
    sink?.tellClosed();
  }
}

function isOver(age: number, limit: number): boolean {
  return limit > 0 && age >= limit;
}
