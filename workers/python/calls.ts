// Worker thread. What Python calls JavaScript for in the midst of its work: to wait, and to send what the ring has no room for.
import type { MessagePort } from 'node:worker_threads';
import {
  ACKED,
  BODIES_FREED,
  BODIES_WRITTEN,
  CLOSING,
  type FromWorker,
  GONE,
  OUTSIDE,
  type PostedRequest,
  REQUESTS_FREED,
  REQUESTS_WRITTEN,
  RESPONSE_WINDOW,
  type SessionStart,
  SIGNAL,
  SLEEPING,
  slotOf,
  slotWord,
  WINDOW_STEP,
} from '../../src/contract/protocol.js';
import {
  ACCEPT,
  BINARY,
  BLOCK,
  CLOSED,
  END,
  HEAD,
  MESSAGE,
  PART,
  RESPONSE,
  TEXT,
  WHOLE,
} from '../../src/contract/ring.js';
import { PostedRequests } from './posted-requests.js';

/**
 * A call is told on the desk, a buffer that both sides see: four 32-bit integers, then what they speak of. The first is the
 * wish, the second the request's id; the first is also where the answer is left.
 */
export const DESK_HEADER = 16;

/** Leave a posted request on the desk: the third and fourth integer are the bytes of its environ and of its body, or -1. */
export const FETCH = 101;
/** Wait until the window is wide again. The third integer is the number of bytes sent, modulo 2^32. */
export const AWAIT_WINDOW = 102;
/** Wait for a further chunk of the body. */
export const AWAIT_CHUNK = 103;
/** Wait until the main thread has opened the file, or could not. */
export const AWAIT_FILE = 104;

/** For Python. Any other wish is the kind of a record: its pieces lie on the desk, and their sizes are told as in a ring. */
export const CALLS = { DESK_HEADER, FETCH, AWAIT_WINDOW, AWAIT_CHUNK, AWAIT_FILE } as const;

/** Answers Python's calls in one session. A wait gives the GIL up by `withoutGil`. */
export class Calls {
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  readonly #withoutGil: (wait: () => void) => void;
  readonly #posted: PostedRequests;
  #isClosed = false;

  constructor({ requests, control }: SessionStart, withoutGil: (wait: () => void) => void) {
    this.#port = requests;
    this.#control = control;
    this.#withoutGil = withoutGil;
    this.#posted = new PostedRequests(requests, control);
  }

  /** The main thread has closed the session, and all that it sent is answered. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Waits for a request or the session's end, without the GIL, once Python has waited for a while. The main thread changes the
   * word after it has stored what is to be seen: what comes too late to be seen here has changed it, and there is no wait.
   */
  sleep(): void {
    this.#posted.receive();
    Atomics.store(this.#control, SLEEPING, OUTSIDE);
    const isClosing = this.#word(CLOSING) === 1;
    const isEmpty = this.#word(REQUESTS_WRITTEN) === this.#word(REQUESTS_FREED);
    // What was sent before the session was closed has been answered by now.
    this.#isClosed = isClosing && isEmpty;
    if (isEmpty && !isClosing) Atomics.wait(this.#control, SLEEPING, OUTSIDE);
    Atomics.store(this.#control, SLEEPING, 0);
  }

  /** Returns what Python finds in the desk's first integer. */
  answer(wish: number, id: number, first: number, second: number, desk: Buffer): number {
    switch (wish) {
      case AWAIT_WINDOW:
        this.#await(id, () => ((first - this.#slotWord(id, ACKED)) | 0) <= RESPONSE_WINDOW - WINDOW_STEP);
        return 0;
      case AWAIT_CHUNK:
        this.#await(id, () => this.#word(BODIES_WRITTEN) !== this.#word(BODIES_FREED));
        return 0;
      case AWAIT_FILE:
        this.#await(id, () => this.#slotWord(id, ACKED) !== 0);
        return 0;
      default:
        this.#port.postMessage(readRecord(desk, wish, id, first, second));
        return 0;
    }
  }

  /** A request for which the ring had no room. */
  takePosted(id: number): PostedRequest {
    return this.#posted.take(id);
  }

  /** Waits until something has come true, or the client is gone: the main thread signals both on one word, after it stored them. */
  #await(id: number, isTrue: () => boolean): void {
    const word = slotWord(slotOf(id), SIGNAL);
    const isOver = () => isTrue() || this.#slotWord(id, GONE) === id;
    if (isOver()) return;
    this.#withoutGil(() => {
      for (;;) {
        const seen = this.#word(word);
        if (isOver()) return;
        Atomics.wait(this.#control, word, seen);
      }
    });
  }

  #word(index: number): number {
    return Atomics.load(this.#control, index);
  }

  #slotWord(id: number, word: number): number {
    return this.#word(slotWord(slotOf(id), word));
  }
}

/** The record on the desk as the message that says the same. */
export function readRecord(
  desk: Buffer,
  kind: number,
  id: number,
  firstSize: number,
  secondSize: number,
): FromWorker {
  const first = DESK_HEADER + firstSize;
  const second = first + secondSize;
  const block = () => desk.toString('latin1', first, second);
  switch (kind) {
    case RESPONSE:
      return ['response', id, desk.toString('latin1', DESK_HEADER, first), block()];
    case HEAD:
      return ['head', id, desk.toString('latin1', DESK_HEADER, first), block()];
    case BLOCK:
      return ['block', id, block()];
    case WHOLE:
      return ['whole', id];
    case END:
      return ['end', id];
    case ACCEPT:
      return ['accept', id, desk.toString('latin1', DESK_HEADER, first)];
    case TEXT:
    case BINARY:
      return ['message', id, kind === TEXT, Buffer.from(desk.subarray(first, second))];
    case PART:
      return ['part', id, Buffer.from(desk.subarray(first, second))];
    case CLOSED:
      return [
        'close',
        id,
        Number(desk.toString('latin1', DESK_HEADER, first)),
        desk.toString('utf8', first, second),
      ];
    case MESSAGE:
      return JSON.parse(desk.toString('utf8', first, second)) as FromWorker;
    default:
      throw new Error(`no record has the kind ${kind}`);
  }
}
