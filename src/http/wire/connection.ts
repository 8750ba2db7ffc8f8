/**
 * Main thread. One client's connection: reads one request after the other, has each answered before it looks at the next,
 * and ends so that the last answer is not lost. RFC 9112, section 9.
 */
import type { Socket } from 'node:net';
import type { Account, Budget, Holder } from '../budget.js';
import type { Connection } from '../connection.js';
import type { Departure } from '../departure.js';
import type { Refusal } from '../gate.js';
import { LINGER_MS } from '../linger.js';
import type { HttpRequest, TakenSocket } from '../request.js';
import type { ResponseSink } from '../response-sink.js';
import { type HeadLimits, HeadParser, type RequestHead } from './head-parser.js';
import { KeptBytes } from './kept-bytes.js';
import { formatLastAnswer } from './last-answer.js';
import { LongBodyReader } from './long-body.js';
import { lull, type Waiting } from './lull.js';
import { type BodyCarrier, type WireBody, WireRequest } from './request.js';
import { type ResponseCarrier, WireSink } from './sink.js';
import { stopReading } from './stop-reading.js';

export interface ConnectionOptions {
  readonly limits: HeadLimits;
  /** Milliseconds, 0 for no limit: for a head to come, for the next request to begin. */
  readonly headerTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Milliseconds that a client may take nothing of what is written where no response says so; 0 for no limit. */
  readonly sendTimeoutMs: number;
  /** Requests that are answered before the connection ends; 0 for no limit. */
  readonly mostRequests: number;
  /** The index of the address that connections come to, for other processes to know it; null where none can leave. */
  readonly address: number | null;
  /** Where what a client makes the process hold is counted. */
  readonly budget: Budget;
  /** Takes a request. Those behind it on its connection are not looked at before it is answered. */
  readonly handle: (request: HttpRequest, sink: ResponseSink) => void;
  /** Told of what was refused without an application. */
  readonly refused: (refusal: Refusal, client: Connection) => void;
}

/**
 * - idle: between two requests, or before the first
 * - head: a head has begun
 * - request: a request is with its application; its body may still come
 * - lingering: the last answer is written; what still comes is dropped
 * - taken: another protocol goes on with the socket
 * - over: the socket is closed, or another process goes on with it
 */
type State = 'idle' | 'head' | 'request' | 'lingering' | 'taken' | 'over';

/** Bytes behind the current request that are read ahead, so that a client's end is seen. */
const MAX_AHEAD = 64 * 1024;
/**
 * A client that ends its side as soon as it has asked does so within this time. To TCP it looks the same as one that went
 * away: an end that comes later is taken for that, and what it asked for is given up. Milliseconds.
 */
const HALF_CLOSE_MS = 1000;

/** Connections whose writes go out at the end of this turn. */
const gathering: HttpConnection[] = [];

export class HttpConnection implements BodyCarrier, Holder, ResponseCarrier, Waiting {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #parser: HeadParser;
  readonly #describeClient: () => Connection;
  /** Null until the first request. */
  #client: Connection | null = null;
  #state: State = 'idle';
  /** When the state began. performance.now(). */
  #since = performance.now();
  /** When the client was last heard, or could last not be. */
  #heardAt = this.#since;
  /** Of the request that is current; null where that has none. */
  #body: WireBody | null = null;
  /** Null once the response is written, while what is left of the body is read. */
  #sink: WireSink | null = null;
  #closesAfter = false;
  #requests: number;
  /** Bytes that have come and were not looked at: these packets, the first one from `#position` on. */
  #packets: Buffer[] = [];
  #position = 0;
  #ahead = 0;
  /** Bytes of the head that is being read, or was read last. */
  #headBytes = 0;
  /** The head of the current request as it came, which usually is a part of one packet. Not kept where none can leave. */
  readonly #head = new KeptBytes();
  readonly #account: Account;
  /** It holds more than others, and there is little room. */
  #isRelieved = false;
  #isReading = false;
  #isPaused = false;
  /** Reads in the place of the socket while a long body comes. */
  #longBody: LongBodyReader | null = null;
  #isGathering = false;
  #sendTimeoutMs: number;
  /** How much of what was written the socket had taken, and when that was first seen. */
  #taken = 0;
  #takenAt = this.#since;
  hasClientEnded = false;
  /** When it did so. performance.now(). */
  #endedAt = 0;
  /** The current response is of no use to a client that has ended its side. */
  #leavesWithClient = false;
  readonly keepAlive: string | null;

  /** `describeClient` is asked when the first request has come. `answered`: requests that another process answered here. */
  constructor(
    socket: Socket,
    options: ConnectionOptions,
    keepAlive: string | null,
    describeClient: () => Connection,
    answered = 0,
  ) {
    this.#requests = answered;
    this.#describeClient = describeClient;
    this.#socket = socket;
    this.#options = options;
    this.#parser = new HeadParser(options.limits);
    this.#sendTimeoutMs = options.sendTimeoutMs;
    this.keepAlive = keepAlive;
    this.#account = options.budget.open(this);
    socket
      .on('data', this.#take)
      .on('end', this.#hearEnd)
      .on('drain', this.#hearDrain)
      .on('error', () => {}) // 'close' follows, and says enough
      .on('close', () => this.#end());
  }

  /** Ends the connection unless an answer is due or on its way. The client is told, though a forked process may have the socket, too. */
  closeIdle(): void {
    const isBusy = this.#state === 'request' || this.#state === 'taken' || this.#packets.length > 0;
    if (!isBusy && this.#socket.writableLength === 0) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Since when nobody waits for an answer here, and none is on its way; null where somebody does, or it is over. performance.now(). */
  get idleSince(): number | null {
    const isIdle = this.#state === 'idle' && this.#packets.length === 0 && !this.#socket.destroyed;
    return isIdle && this.#socket.writableLength === 0 ? this.#since : null;
  }

  /** Ends what is overdue. To be called again and again. */
  check(now: number): void {
    // What has come in a lull may be what a time-out waits for.
    const waitsForLull = lull.isHere && this.#packets.length > 0;
    if (this.#state === 'taken' || waitsForLull) return;
    const { headerTimeoutMs, keepAliveMs } = this.#options;
    const age = now - this.#since;
    const isFirst = this.#client === null;
    if (this.#state === 'head' || (this.#state === 'idle' && isFirst)) {
      if (isOver(age, headerTimeoutMs)) this.#refuse({ status: 408, reason: 'the head took too long' });
    } else if (this.#state === 'idle' && isOver(age, keepAliveMs)) this.#linger();
    else if (this.#state === 'request' && this.#isLeft(now)) this.#socket.destroy();
    else if (this.#state === 'lingering' && age >= LINGER_MS) this.#socket.destroy();
    this.#checkSending(now);
    this.#count();
  }

  #isLeft(now: number): boolean {
    return this.hasClientEnded && this.#leavesWithClient && now - this.#endedAt >= HALF_CLOSE_MS;
  }

  /** For the budget. */
  relieve(): void {
    this.#isRelieved = true;
    this.#regulateSocket();
  }

  /** For the budget. */
  resume(): void {
    this.#isRelieved = false;
    this.#regulateSocket();
  }

  /** A client that takes nothing of what was written to it is as good as gone. */
  #checkSending(now: number): void {
    const { bytesWritten, writableLength } = this.#socket;
    const taken = bytesWritten - writableLength;
    if (writableLength === 0 || taken !== this.#taken) {
      this.#taken = taken;
      this.#takenAt = now;
    } else if (isOver(now - this.#takenAt, this.#sendTimeoutMs)) this.#socket.destroy();
  }

  #enter(state: State): void {
    this.#state = state;
    this.#since = performance.now();
  }

  // ---- What comes ---------------------------------------------------------------------------------------

  readonly #take = (packet: Buffer): void => {
    if (this.#state === 'lingering' || this.#state === 'over') return;
    this.#heardAt = performance.now();
    this.#packets.push(packet);
    this.#ahead += packet.length;
    if (!lull.isHere || this.#ahead >= MAX_AHEAD) this.#read();
    else if (this.#packets.length === 1) lull.keep(this);
  };

  /** Of a long body; nothing else comes with it. */
  readonly #takeLong = (bytes: Buffer): void => {
    const body = this.#body;
    if (body === null || this.#state !== 'request') return;
    this.#heardAt = performance.now();
    this.#isReading = true;
    this.#readBody(bytes, 0, body);
    this.#position = 0;
    this.#isReading = false;
    this.#regulateSocket();
  };

  /** The lull in which something came is over. */
  goOn(): void {
    if (this.#packets.length > 0) this.#read();
  }

  readonly #hearEnd = (): void => {
    if (this.#state === 'over') return;
    this.hasClientEnded = true;
    this.#endedAt = performance.now();
    const isGone = performance.now() - this.#heardAt > HALF_CLOSE_MS;
    if (this.#state === 'request' && isGone && this.isRequestRead) this.#socket.destroy();
    else this.#read();
  };

  readonly #hearDrain = (): void => this.#sink?.tellDrained();

  /** Looks at what has come, as far as somebody wants it. */
  #read(): void {
    // Whoever is given something may ask for more, or for less, before it returns.
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#packets.length > 0 && this.#readPacket());
    this.#isReading = false;
    if (this.hasClientEnded && this.#packets.length === 0) this.#meetEnd();
    this.#regulateSocket();
    this.#count();
  }

  /** What was not looked at, the head, and what the client has not taken; the last is looked at only now and then. */
  #count(): void {
    if (this.#state === 'over') return;
    this.#account.add(this.#ahead + this.#headBytes + this.#socket.writableLength - this.#account.held);
  }

  /** False where nothing more is to be read for now. */
  #readPacket(): boolean {
    const packet = this.#packets[0] as Buffer;
    // Its memory may change threads with what is given away of it, and then it has no length any more.
    const { length } = packet;
    const start = this.#position;
    if (this.#state === 'request') {
      if (!this.#isBodyOpen) return false;
      this.#position = this.#readBody(packet, start, this.#body as WireBody);
    } else if (this.#state === 'idle' || this.#state === 'head') this.#readHead(packet, start);
    else return false;
    this.#ahead -= this.#position - start;
    if (this.#position === length) {
      this.#packets.shift();
      this.#position = 0;
    }
    return true;
  }

  #readHead(packet: Buffer, start: number): void {
    const parser = this.#parser;
    this.#position = parser.read(packet, start);
    this.#headBytes += this.#position - start;
    if (this.#options.address !== null) this.#head.keep(packet, start, this.#position);
    const { head, refusal } = parser;
    if (head !== null) {
      parser.reset();
      this.#begin(head);
    } else if (refusal !== null) this.#refuse(refusal);
    else if (parser.isWithin !== (this.#state === 'head')) this.#enter(parser.isWithin ? 'head' : 'idle');
  }

  #begin(head: RequestHead): void {
    this.#client ??= this.#describeClient();
    const request = new WireRequest(head, this.#client, this.#options.limits, this);
    const sink = new WireSink(this, head);
    this.#body = request.body;
    this.#sink = sink;
    this.#requests += 1;
    this.#closesAfter = this.#requests === this.#options.mostRequests;
    this.#leavesWithClient = false;
    this.#enter('request');
    this.#options.handle(request, sink);
  }

  #readBody(packet: Buffer, start: number, body: WireBody): number {
    const { reader } = body;
    const end = reader.read(packet, start);
    // The request may leave as soon as its body is whole, with what is behind that.
    this.#position = end;
    if (reader.refusal !== null) this.#breakBody(body, reader.refusal.status);
    else {
      if (reader.taken !== null) body.receiver?.push(reader.taken);
      if (reader.isWhole) this.#finishBody(body);
    }
    return end;
  }

  #finishBody(body: WireBody): void {
    body.receiver?.end(body.reader.trailers);
    if (this.#sink === null) this.#goOn();
  }

  /** What came is no body: nothing on this connection is looked at any more. */
  #breakBody(body: WireBody, status: number): void {
    this.#closesAfter = true;
    body.isBroken = true;
    body.receiver?.fail(status);
    if (this.#sink === null) this.#linger();
  }

  get #isBodyOpen(): boolean {
    const body = this.#body;
    return body !== null && !body.isWhole && !body.isBroken && (body.isWanted || body.isStopped);
  }

  get isLastRequest(): boolean {
    return this.#closesAfter;
  }

  get isRequestRead(): boolean {
    return this.#body === null || this.#body.isWhole;
  }

  /** The client has ended its side, and all that it said before was looked at. */
  #meetEnd(): void {
    if (this.#state === 'idle') this.#linger();
    else if (this.#state === 'head')
      this.#refuse({ status: 400, reason: 'the head broke off (RFC 9112, 8)' });
    else if (this.#isBodyOpen) this.#breakBody(this.#body as WireBody, 400);
  }

  /** One answer that no application gives, and the end of the connection. */
  #refuse(refusal: Refusal): void {
    this.#client ??= this.#describeClient();
    this.#options.refused(refusal, this.#client);
    this.#socket.write(formatLastAnswer(refusal), 'latin1');
    this.#linger();
  }

  /** A request's body has a receiver that wants it, or wants no more. */
  regulate(body: WireBody): void {
    if (body === this.#body) this.#read();
  }

  /** Reads ahead only so far, and no body before somebody wants it. */
  #regulateSocket(): void {
    if (this.#state === 'over') return;
    const body = this.#body;
    const isUnwanted = body !== null && !body.isWhole && !this.#isBodyOpen;
    const isFull = this.#ahead >= (this.#isRelieved ? 1 : MAX_AHEAD);
    const holds =
      (this.#state === 'request' && (isUnwanted || isFull)) || (this.#state === 'head' && this.#isRelieved);
    this.#chooseReader(holds);
    if (holds === this.#isPaused) return;
    this.#isPaused = holds;
    const reader = this.#longBody ?? this.#socket;
    if (holds) reader.pause();
    else {
      // What the client has said in the meantime is heard only now, its end too.
      this.#heardAt = performance.now();
      reader.resume();
    }
  }

  /** A long body comes by a way of its own, for as long as it is wanted. */
  #chooseReader(holds: boolean): void {
    const body = this.#body;
    const longBody = this.#longBody;
    if (longBody !== null) {
      if (!longBody.isClosed && body !== null && !body.isStopped && !body.isBroken) return;
      longBody.close();
      this.#longBody = null;
      this.#isPaused = false;
    } else if (body !== null && !holds && this.#packets.length === 0 && !this.hasClientEnded)
      this.#longBody = LongBodyReader.begin(this.#socket, body, this.#takeLong);
  }

  // ---- What goes ----------------------------------------------------------------------------------------

  limitSending(timeoutMs: number): void {
    this.#sendTimeoutMs = timeoutMs;
  }

  leaveWithClient(): void {
    this.#leavesWithClient = true;
  }

  write(data: string | Uint8Array, taken?: () => void): boolean {
    return typeof data === 'string'
      ? this.#socket.write(data, 'latin1', taken)
      : this.#socket.write(data, taken);
  }

  gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#socket.cork();
    // One tick for all of a turn: an event may go to thousands of streams.
    if (gathering.push(this) === 1) process.nextTick(HttpConnection.#uncorkAll);
  }

  static #uncorkAll(): void {
    for (const connection of gathering.splice(0)) {
      connection.#isGathering = false;
      connection.#socket.uncork();
    }
  }

  finish(data: string | Uint8Array, closes: boolean): void {
    if (closes) this.#closesAfter = true;
    if (data.length === 0 && this.#socket.writableLength === 0) process.nextTick(this.#conclude);
    else this.write(data, this.#conclude);
  }

  abort(): void {
    process.nextTick(() => this.#socket.destroy());
  }

  /** The socket has taken the last byte of the response. */
  readonly #conclude = (): void => {
    if (this.#state !== 'request' || this.#socket.destroyed) return;
    const sink = this.#sink;
    this.#sink = null;
    sink?.tellClosed();
    if (this.#closesAfter) this.#linger();
    else if (this.#body === null || this.#body.isWhole) this.#goOn();
    else this.#body.stop();
  };

  #goOn(): void {
    this.#body = null;
    this.#head.drop();
    this.#headBytes = 0;
    this.#enter('idle');
    this.#read();
  }

  /**
   * Ends this side, and goes on reading for a while: a connection that is closed while bytes are unread is reset, and the
   * client may lose an answer that it has not read yet.
   */
  #linger(): void {
    if (this.#state === 'lingering' || this.#state === 'over') return;
    this.#enter('lingering');
    this.#body = null;
    this.#packets = [];
    this.#ahead = 0;
    this.#headBytes = 0;
    this.#head.drop();
    this.#socket.end();
    this.#regulateSocket();
  }

  /** What has come behind the request is the next protocol's. */
  takeSocket(): TakenSocket | null {
    const socket = this.#socket;
    if (this.#state !== 'request' || socket.destroyed || this.hasClientEnded) return null;
    const [first = Buffer.alloc(0), ...others] = this.#packets;
    const head = Buffer.concat([first.subarray(this.#position), ...others]);
    this.#longBody?.close();
    socket.off('data', this.#take).off('end', this.#hearEnd).off('drain', this.#hearDrain);
    this.#state = 'taken';
    this.#head.drop();
    this.#packets = [];
    this.#account.close();
    socket.resume();
    return { socket, head };
  }

  /** What was read and not answered goes along; what comes from now on is for whoever gets the socket. */
  leaveWith({ expectsContinue, bodyLength }: RequestHead, body: string): Departure | null {
    const { address } = this.#options;
    const socket = this.#socket;
    const isAsItCame = this.isRequestRead && bodyLength !== null && !expectsContinue && !this.hasClientEnded;
    const isQuiet = socket.writableLength === 0 && socket.readableLength === 0 && !socket.destroyed;
    const client = this.#client;
    if (this.#state !== 'request' || address === null || client === null || !isAsItCame || !isQuiet)
      return null;
    const head = this.#head.asText();
    if (head === '' || !stopReading(socket)) return null;
    const text = head + body + this.#textBehind();
    this.#sink = null;
    this.#body = null;
    this.#end();
    return { socket, address, luggage: { text, client, answered: this.#requests - 1 } };
  }

  #textBehind(): string {
    const [first = Buffer.alloc(0), ...others] = this.#packets;
    return Buffer.concat([first.subarray(this.#position), ...others]).toString('latin1');
  }

  /** True when the socket is closed, or another process goes on with it. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  #end(): void {
    this.#state = 'over';
    this.#longBody?.close();
    this.#packets = [];
    this.#head.drop();
    this.#account.close();
    const sink = this.#sink;
    this.#sink = null;
    sink?.tellClosed();
  }
}

function isOver(age: number, limit: number): boolean {
  return limit > 0 && age >= limit;
}
