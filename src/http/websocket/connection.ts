/**
 * Main thread. One client's WebSocket, from the application's accept to its end: messages in under credit, messages out
 * with a word once the system has taken them. RFC 6455; the frames are ws's business.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { WEBSOCKET_CREDIT, WEBSOCKET_MESSAGE_COST } from '../../contract/protocol.js';
import type { Account, Budget, Holder } from '../budget.js';

/** RFC 6455, section 7.4.1, and IANA's registry. */
export const GOING_AWAY = 1001;
export const INTERNAL_ERROR = 1011;
export const SERVICE_RESTART = 1012;
const TRY_AGAIN_LATER = 1013;

/** A message of the client's; text is UTF-8. */
interface Message {
  readonly bytes: Buffer;
  readonly isText: boolean;
}

export interface WebSocketEvents {
  /** The client sent a message; text is UTF-8. */
  receive(bytes: Buffer, isText: boolean): void;
  /** So many bytes of what was sent are the system's now, or are not wanted any more. */
  acknowledge(bytes: number): void;
  /** It is over. Told once, behind the last message; `code` is 1005 for a close without one, 1006 for an end without a close. */
  closed(code: number, reason: string): void;
}

/** What of an unfinished message is not worth counting at each packet. Bytes. */
const SMALL_PART = 64 * 1024;

export class WebSocketConnection implements Holder {
  readonly #socket: WebSocket;
  readonly #events: WebSocketEvents;
  readonly #budget: Budget;
  readonly #account: Account;
  /** Messages for which there was no credit: what one packet held, at most. */
  #waiting: Message[] = [];
  #waitingBytes = 0;
  /** Of a message that has not come whole. Bytes. */
  #partial = 0;
  #credit = WEBSOCKET_CREDIT;
  /** Bytes that were sent and are not the system's yet. */
  #unsent = 0;
  #isRelieved = false;
  bytesReceived = 0;
  bytesSent = 0;
  /** When the client was last heard. performance.now(). */
  heardAt = performance.now();

  /** `transport` is what `socket` speaks on. */
  constructor(socket: WebSocket, transport: Duplex, budget: Budget, events: WebSocketEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#budget = budget;
    this.#account = budget.open(this);
    // Before ws looks at it: what is a message by then is none that is still to come whole.
    transport.prependListener('data', (packet: Buffer) => this.#hear(packet.length));
    socket
      .on('message', (bytes, isBinary) => this.#take(bytes as Buffer, !isBinary))
      .on('error', () => {}) // 'close' follows
      .on('close', (code, reason) => this.#end(code, reason.toString()));
  }

  /** True while the client has not taken all that was sent. */
  get isBlocked(): boolean {
    return this.#unsent > 0;
  }

  /** How much it has taken. Bytes. */
  get acknowledged(): number {
    return this.bytesSent - this.#unsent;
  }

  /** True while nothing that the client says is heard, since what it has said before is not taken. */
  get isHeld(): boolean {
    return this.#socket.isPaused;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Sends a message; the bytes are to stay as they are until they are acknowledged. Nothing is sent once it closes. */
  send(bytes: Uint8Array, isText: boolean): void {
    const { length } = bytes;
    if (!this.isOpen) {
      this.#events.acknowledge(length);
      return;
    }
    this.bytesSent += length;
    this.#unsent += length;
    this.#count();
    this.#socket.send(bytes, { binary: !isText }, () => {
      this.#unsent -= length;
      this.#count();
      this.#events.acknowledge(length);
    });
  }

  /** Begins the closing handshake. closed() follows once the client has answered, or has not in time. */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    this.#letAllIn();
  }

  ping(): void {
    this.#socket.ping();
  }

  /** Ends the connection without a word. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** The application has taken so much of what was received, and takes as much again; a message counts WEBSOCKET_MESSAGE_COST at least. */
  addCredit(bytes: number): void {
    this.#credit += bytes;
    this.#deliver();
  }

  /** For the budget. */
  relieve(): void {
    this.#isRelieved = true;
    this.#regulate();
  }

  /** For the budget. */
  resume(): void {
    this.#isRelieved = false;
    this.#regulate();
  }

  #hear(bytes: number): void {
    this.heardAt = performance.now();
    this.#partial += bytes;
    if (this.#partial < SMALL_PART) return;
    if (this.#budget.isSpent) this.close(TRY_AGAIN_LATER, 'the server holds as much as it may');
    else this.#count();
  }

  #take(bytes: Buffer, isText: boolean): void {
    this.#partial = 0;
    // What comes behind the close that this side has begun is for nobody.
    if (!this.isOpen) return;
    this.bytesReceived += bytes.length;
    this.#waiting.push({ bytes, isText });
    this.#waitingBytes += bytes.length;
    this.#deliver();
  }

  #deliver(): void {
    while (this.#credit > 0) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      const { bytes, isText } = message;
      this.#waitingBytes -= bytes.length;
      this.#credit -= Math.max(bytes.length, WEBSOCKET_MESSAGE_COST);
      this.#events.receive(bytes, isText);
    }
    this.#regulate();
    this.#count();
  }

  /** Nothing more is read while the application takes nothing. */
  #regulate(): void {
    const holds = this.#credit <= 0 || this.#isRelieved;
    if (holds === this.#socket.isPaused) return;
    if (holds) this.#socket.pause();
    else this.#socket.resume();
  }

  /** The client's answer to a close lies behind what was not read. */
  #letAllIn(): void {
    this.#credit = Number.POSITIVE_INFINITY;
    this.#isRelieved = false;
    this.#deliver();
  }

  #count(): void {
    this.#account.add(this.#waitingBytes + this.#partial + this.#unsent - this.#account.held);
  }

  #end(code: number, reason: string): void {
    this.#letAllIn();
    this.#account.close();
    this.#events.closed(code, reason);
  }
}
