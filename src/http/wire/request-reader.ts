/**
 * Main thread. What a client sends ► one request after the other: heads to who takes requests, bodies to their receivers. What is
 * behind a request is not looked at before that is answered. RFC 9112, section 9.3.2.
 */
import type { Socket } from 'node:net';
import type { Refusal } from '../gate.js';
import { type HeadLimits, HeadParser, type RequestHead } from './head-parser.js';
import { Inlet, type PacketTaker } from './inlet.js';
import { KeptText } from './kept-text.js';
import { lull, type Waiting } from './lull.js';
import type { WireBody } from './request.js';
import { sharedMemory } from './shared-memory.js';
import { Unread } from './unread.js';

/** Bytes behind the current request that are read ahead, so that a client's end is seen. */
const MAX_AHEAD = 64 * 1024;
/**
 * A client that ends its side as soon as it has asked does so within this time. To TCP it looks the same as one that went
 * away: an end that comes later is taken for that, and what it asked for is given up. Milliseconds.
 */
export const HALF_CLOSE_MS = 1000;

/** Who takes what was read. */
export interface RequestTaker {
  /** A head has begun; or what seemed to be one has not. */
  hearHead(isWithin: boolean): void;
  /** A head is whole. Where it has a body, the reader is given that before anybody asks for it. */
  begin(head: RequestHead): void;
  /** What came is no head. */
  refuse(refusal: Refusal): void;
  /** The current request's body was read. */
  finishBody(): void;
  /** What came is no body: nothing behind it is looked at. Its receiver is told next. */
  breakBody(): void;
  /** The client has ended its side, and has asked for nothing more. */
  hearEnd(): void;
  /** The client has ended its side so late that it is gone. */
  lose(): void;
  /** What is held here may be more now, or less. */
  count(): void;
}

export class RequestReader implements PacketTaker, Waiting {
  readonly #taker: RequestTaker;
  readonly #inlet: Inlet;
  readonly #unread = new Unread();
  readonly #parser: HeadParser;
  /** The head of the current request as it came. */
  readonly #headText = new KeptText();
  /** Bytes of the head that is being read, or was read last. */
  #headBytes = 0;
  /** A head was whole, and its request is not over. */
  #isWithinRequest = false;
  /** Of that request; null where it has none. */
  #body: WireBody | null = null;
  #isReading = false;
  /** As little as possible is to be held. */
  #isRelieved = false;
  /** Nothing is looked at any more. */
  #isOver = false;

  /** `keepsHeads`: whether anybody asks for their text. */
  constructor(socket: Socket, limits: HeadLimits, keepsHeads: boolean, taker: RequestTaker) {
    this.#taker = taker;
    this.#parser = new HeadParser(limits, keepsHeads ? this.#headText : null);
    this.#inlet = new Inlet(socket, this);
  }

  /** True where nothing has come that was not looked at. */
  get isEmpty(): boolean {
    return this.#unread.isEmpty;
  }

  /** Bytes of what was not looked at, and of the head. */
  get held(): number {
    return this.#unread.length + this.#headBytes;
  }

  /** True when the current request's body is read, or there is none. */
  get isRequestRead(): boolean {
    return this.#body === null || this.#body.isWhole;
  }

  /** When the client ended its side; null where it has not. performance.now(). */
  get endedAt(): number | null {
    return this.#inlet.endedAt;
  }

  /** What was read of the current request and is not answered, with its body, and what came behind it. Latin-1. */
  copyText(body: string): string {
    return this.#headText.toString() + body + this.#unread.copy().toString('latin1');
  }

  /** This is the current request's. */
  expect(body: WireBody | null): void {
    this.#body = body;
  }

  /** A request's body has a receiver that wants it, or wants no more. */
  regulate(body: WireBody): void {
    if (body === this.#body) this.#read();
  }

  /** For the budget. */
  relieve(isRelieved: boolean): void {
    this.#isRelieved = isRelieved;
    this.#regulateInlet();
  }

  /** The current request is answered, and its body read. */
  next(): void {
    this.#forget();
    this.#read();
  }

  /** What is left of the current request's body is dropped: the rest of the connection comes behind it. */
  dropBody(): void {
    this.#body?.stop();
  }

  /** What has come is dropped, and what still comes. */
  drop(): void {
    this.#isOver = true;
    this.#forget();
    this.#unread.clear();
    this.#regulateInlet();
  }

  /** Nothing comes any more, or it is for another process. */
  close(): void {
    this.#isOver = true;
    this.#inlet.close();
    this.#forget();
    this.#unread.clear();
  }

  /** What still comes is for whoever listens to the socket. Returns what has come behind the request. */
  leave(): Buffer {
    const rest = this.#unread.copy();
    this.close();
    this.#inlet.leave();
    return rest;
  }

  /** The lull in which something came is over. */
  goOn(): void {
    if (!this.#unread.isEmpty) this.#read();
  }

  take(packet: Buffer): void {
    if (this.#isOver) return;
    const isFirst = this.#unread.isEmpty;
    this.#unread.push(packet);
    if (!lull.isHere || this.#unread.length >= MAX_AHEAD) this.#read();
    else if (isFirst) lull.keep(this);
    this.#unread.keep();
  }

  takeLong(bytes: Buffer): void {
    const body = this.#body;
    if (body === null) return;
    this.#isReading = true;
    body.reader.read(bytes, 0);
    this.#passOn(body);
    this.#isReading = false;
    this.#regulateInlet();
  }

  hearEnd(): void {
    if (this.#isOver) return;
    const { heardAt, endedAt } = this.#inlet;
    const isGone = endedAt !== null && endedAt - heardAt > HALF_CLOSE_MS;
    if (this.#isWithinRequest && this.isRequestRead && isGone) this.#taker.lose();
    else this.#read();
  }

  /** Looks at what has come, as far as somebody wants it. */
  #read(): void {
    // Whoever is given something may ask for more, or for less, before it returns.
    if (this.#isReading) return;
    this.#isReading = true;
    while (!this.#unread.isEmpty && this.#readPacket());
    this.#isReading = false;
    if (this.endedAt !== null && this.#unread.isEmpty && !this.#isOver) this.#meetEnd();
    this.#regulateInlet();
    this.#taker.count();
  }

  /** False where nothing more is to be read for now. */
  #readPacket(): boolean {
    if (!this.#isWithinRequest) this.#readHead();
    else if (this.#body?.isOpen === true) this.#readBody(this.#body);
    else return false;
    return true;
  }

  #readHead(): void {
    const unread = this.#unread;
    const parser = this.#parser;
    const wasWithin = parser.isWithin;
    const start = unread.position;
    const end = parser.read(unread.first, start);
    unread.skipTo(end);
    this.#headBytes += end - start;
    const { head, refusal } = parser;
    if (head !== null) {
      parser.reset();
      this.#isWithinRequest = true;
      this.#taker.begin(head);
    } else if (refusal !== null) this.#taker.refuse(refusal);
    else if (parser.isWithin !== wasWithin) this.#taker.hearHead(parser.isWithin);
  }

  #readBody(body: WireBody): void {
    const unread = this.#unread;
    // The request may leave as soon as its body is whole, with what is behind that.
    unread.skipTo(body.reader.read(unread.first, unread.position));
    this.#passOn(body);
  }

  #passOn(body: WireBody): void {
    const { refusal, taken, trailers } = body.reader;
    if (refusal !== null) {
      this.#breakBody(body, refusal.status);
      return;
    }
    if (taken !== null) body.receiver?.push(sharedMemory.own(taken));
    if (!body.isWhole) return;
    body.receiver?.end(trailers);
    this.#taker.finishBody();
  }

  #breakBody(body: WireBody, status: number): void {
    this.#taker.breakBody();
    body.break(status);
  }

  /** The client has ended its side, and all that it said before was looked at. */
  #meetEnd(): void {
    if (this.#isWithinRequest) {
      if (this.#body?.isOpen === true) this.#breakBody(this.#body, 400);
    } else if (this.#parser.isWithin)
      this.#taker.refuse({ status: 400, reason: 'the head broke off (RFC 9112, 8)' });
    else this.#taker.hearEnd();
  }

  #forget(): void {
    this.#isWithinRequest = false;
    this.#body = null;
    this.#headText.drop();
    this.#headBytes = 0;
  }

  /** Reads ahead only so far, and no body before somebody wants it. */
  #regulateInlet(): void {
    const isUnwanted = !this.isRequestRead && this.#body?.isOpen === false;
    const isFull = this.#unread.length >= (this.#isRelieved ? 1 : MAX_AHEAD);
    const holds = this.#isWithinRequest ? isUnwanted || isFull : this.#isRelieved && this.#parser.isWithin;
    this.#inlet.regulate(holds && !this.#isOver, this.#unread.isEmpty ? this.#body : null);
  }
}
