/**
 * Main thread. [4] All that a loop in a Python worker is told: requests, their bodies, and what becomes of their clients, in one
 * ring; and the bell that wakes the loop.
 */
import { closeSync, writeSync } from 'node:fs';
import { countGarbage } from '../contract/garbage.js';
import {
  ASKED,
  HEARD,
  IN_LOOP,
  IS_FULL,
  MAX_BLOCK,
  REQUESTS_FREED,
  REQUESTS_WRITTEN,
  SLEEPING,
} from '../contract/protocol.js';
import {
  BLOCK,
  END,
  INBOX_SIZE,
  PART,
  REQUEST,
  RingWriter,
  STREAMED_REQUEST,
  WEBSOCKET,
} from '../contract/ring.js';
import type { BodyCarrier } from './body-channel.js';

type Content = string | Uint8Array;
type InboxRecord = readonly [kind: number, id: number, first: Content, second: Content];

/** What an eventfd takes; a pipe takes anything. */
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

export class Inbox implements BodyCarrier {
  readonly memory = new SharedArrayBuffer(INBOX_SIZE);
  readonly #control: Int32Array;
  readonly #ring: RingWriter;
  /** What the ring has no room for, in its order. The windows of requests bound it. */
  #waiting: InboxRecord[] = [];
  /** Null before the loop runs, and once it is over. */
  #bell: number | null = null;
  #willRing = false;

  constructor(control: Int32Array) {
    this.#control = control;
    this.#ring = new RingWriter(this.memory, control, { written: REQUESTS_WRITTEN, freed: REQUESTS_FREED });
  }

  /** The loop runs, and watches the other end of this descriptor. */
  open(bell: number): void {
    this.#bell = bell;
  }

  /** Nobody is told anything any more. Idempotent. */
  close(): void {
    if (this.#bell !== null) closeSync(this.#bell);
    this.#bell = null;
    this.#waiting = [];
  }

  /** Tells the loop something. Text is latin-1. What is long goes ahead in pieces. */
  put(kind: number, id: number, first: Content = '', second: Content = ''): void {
    let long = first.length > 0 ? first : second;
    for (; long.length > MAX_BLOCK; long = cut(long, MAX_BLOCK))
      this.#add([PART, id, '', cut(long, 0, MAX_BLOCK)]);
    this.#add(first.length > 0 ? [kind, id, long, second] : [kind, id, '', long]);
    this.#wake();
  }

  /** A request, or a client that asks for a WebSocket. A body that is null comes in chunks. */
  putRequest(id: number, environ: string, body: string | null, isWebSocket: boolean): void {
    if (isWebSocket) this.put(WEBSOCKET, id, environ);
    else this.put(body === null ? STREAMED_REQUEST : REQUEST, id, environ, body ?? '');
  }

  send(id: number, chunk: Uint8Array | null): void {
    if (chunk === null) this.put(END, id);
    else {
      this.put(BLOCK, id, '', chunk);
      // It has been copied, or will be.
      countGarbage(chunk.length);
    }
  }

  flush(): boolean {
    let sent = false;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#write(next)) {
        // The loop may have read on before it could see that: so there is a second try behind the word.
        Atomics.store(this.#control, IS_FULL, 1);
        if (!this.#write(next)) break;
      }
      this.#waiting.shift();
      sent = true;
    }
    if (sent) this.#wake();
    return sent;
  }

  /** Asks the loop for a sign, unless it owes one. Returns whether it has answered the last time. */
  ask(): boolean {
    const asked = Atomics.load(this.#control, ASKED);
    if (Atomics.load(this.#control, HEARD) !== asked) return false;
    Atomics.store(this.#control, ASKED, (asked + 1) | 0);
    this.#wake();
    return true;
  }

  /** The sign that was asked for last. */
  get asked(): number {
    return Atomics.load(this.#control, ASKED);
  }

  /** The sign that was given last. */
  get heard(): number {
    return Atomics.load(this.#control, HEARD);
  }

  #add(record: InboxRecord): void {
    if (this.#waiting.length === 0 && this.#write(record)) return;
    this.#waiting.push(record);
    if (this.#waiting.length === 1) this.flush();
  }

  #write([kind, id, first, second]: InboxRecord): boolean {
    return this.#ring.put(kind, id, first, second);
  }

  /** Call it after what the loop is to see was stored. It is woken once for all that a turn of this thread brings. */
  #wake(): void {
    if (this.#willRing || this.#bell === null) return;
    this.#willRing = true;
    setImmediate(this.#wakeNow);
  }

  /** See SLEEPING. */
  readonly #wakeNow = (): void => {
    this.#willRing = false;
    if (this.#bell === null || Atomics.load(this.#control, SLEEPING) === 0) return;
    if (Atomics.exchange(this.#control, SLEEPING, 0) === IN_LOOP) writeSync(this.#bell, ONE);
  };
}

function cut(content: Content, start: number, end?: number): Content {
  return typeof content === 'string' ? content.slice(start, end) : content.subarray(start, end);
}
