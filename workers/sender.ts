// Worker thread. [7] The way of one response to the main thread, under the window.
import type { Transferable } from 'node:worker_threads';
import type { ErrorPayload } from '../src/contract/errors.js';
import {
  ACKED,
  FILE_REFUSED,
  type FromWorker,
  GONE,
  MAX_BLOCK,
  RESPONSE_WINDOW,
  SIGNAL,
  STRING_BLOCK_LIMIT,
  slotOf,
  slotWord,
  WINDOW_STEP,
} from '../src/contract/protocol.js';
import { BLOCK, END, HEAD, MESSAGE, RESPONSE, WHOLE } from '../src/contract/ring.js';
import type { Answers } from './answers.js';
import type { FilePart } from './javascript/file-wrapper.js';
import { declareLength } from './javascript/head.js';

/** Sends one response. Blocks are strings (latin-1 text, one character a byte) or bytes, which are copied. */
export class Sender {
  readonly #answers: Answers;
  readonly #control: Int32Array;
  readonly #id: number;
  readonly #slot: number;
  /** The ring had no room for a part of this answer: what follows must not overtake that, and goes by messages, too. */
  #isPosted = false;
  /** Bytes posted, modulo 2^32 like the word they are compared with. */
  #sent = 0;

  constructor(answers: Answers, control: Int32Array, id: number) {
    this.#answers = answers;
    this.#control = control;
    this.#id = id;
    this.#slot = slotOf(id);
  }

  /** True once the client has gone or the request was given up: stop iterating, close, and end. */
  get clientGone(): boolean {
    return Atomics.load(this.#control, slotWord(this.#slot, GONE)) === this.#id;
  }

  /** Sends a whole response; the request is over. */
  respond(head: string, body: string | Uint8Array): void {
    if (typeof body === 'string' || body.byteLength <= STRING_BLOCK_LIMIT) {
      if (!this.#put(RESPONSE, head, body)) this.#post(['response', this.#id, head, toText(body)]);
    } else {
      this.sendHead(declareLength(head, body.byteLength), '');
      this.sendBlock(body);
      this.end();
    }
  }

  /** Sends the head with the first block, which may be empty when the body is. */
  sendHead(head: string, block: string | Uint8Array): void {
    if (typeof block !== 'string' && block.byteLength > STRING_BLOCK_LIMIT) {
      this.sendHead(head, '');
      this.sendBlock(block);
      return;
    }
    this.#sent = (this.#sent + block.length) | 0;
    if (!this.#put(HEAD, head, block)) this.#post(['head', this.#id, head, toText(block)]);
  }

  /** Sends early hints; before the head. */
  giveHints(fields: string): void {
    this.say(['hint', this.#id, fields]);
  }

  /**
   * Sends a block after the head. Blocks the thread once RESPONSE_WINDOW bytes are unacknowledged, until they are fewer
   * by WINDOW_STEP, or the client is gone: then it sends nothing. `wait` is what surrounds a wait, for a thread that holds
   * a lock while it runs.
   */
  sendBlock(block: string | Uint8Array, wait: (blocking: () => void) => void = waitPlainly): void {
    for (const piece of cut(block)) {
      if (!this.#isWindowOpen()) wait(() => this.#waitUntil(this.#isWindowWide));
      if (this.clientGone) return;
      this.#sent = (this.#sent + piece.length) | 0;
      this.#postBlock(piece);
    }
  }

  /** The same for an asynchronous application: waits without blocking the thread. */
  async sendBlockAsync(block: string | Uint8Array): Promise<void> {
    for (const piece of cut(block)) {
      if (!this.#isWindowOpen()) await this.#windowWidened();
      if (this.clientGone) return;
      this.#sent = (this.#sent + piece.length) | 0;
      this.#postBlock(piece);
    }
  }

  /**
   * Sends the head, and leaves the body to the main thread. Returns once that has opened the file for itself, or the
   * client is gone; false where it cannot: then nothing was sent.
   */
  sendFile(
    head: string,
    { fd, position, length }: FilePart,
    wait: (blocking: () => void) => void = waitPlainly,
  ): boolean {
    this.say(['file', this.#id, head, fd, position, length]);
    wait(() => this.#waitUntil(() => this.#acked !== 0 || this.clientGone));
    if (this.#acked !== FILE_REFUSED) return true;
    Atomics.store(this.#control, slotWord(this.#slot, ACKED), 0);
    return false;
  }

  /** Says that the body is complete; the request is not over. */
  endBody(): void {
    if (!this.#put(WHOLE, '', '')) this.#post(['whole', this.#id]);
  }

  /** Says that the response is complete; the request is over. */
  end(): void {
    if (!this.#put(END, '', '')) this.#post(['end', this.#id]);
  }

  /** Says that the application failed; the request is over. */
  fail(error: ErrorPayload): void {
    this.say(['fail', this.#id, error]);
  }

  /** Puts text in the server's log beside this request. */
  log(level: 'error' | 'warn' | 'info', text: string): void {
    this.say(['log', this.#id, level, text]);
  }

  /** Says what has no form of its own in the ring. It keeps its place among what else is said of the request. */
  say(message: FromWorker): void {
    if (!this.#put(MESSAGE, '', Buffer.from(JSON.stringify(message)))) this.#post(message);
  }

  /** Blocks the thread. What it waits for, and that the client is gone, is signalled on the slot's one wait word. */
  #waitUntil(isTrue: () => boolean): void {
    const word = slotWord(this.#slot, SIGNAL);
    for (;;) {
      const seen = Atomics.load(this.#control, word);
      if (isTrue()) return;
      Atomics.wait(this.#control, word, seen);
    }
  }

  async #windowWidened(): Promise<void> {
    const word = slotWord(this.#slot, SIGNAL);
    for (;;) {
      const seen = Atomics.load(this.#control, word);
      if (this.#isWindowWide()) return;
      await Atomics.waitAsync(this.#control, word, seen).value;
    }
  }

  get #acked(): number {
    return Atomics.load(this.#control, slotWord(this.#slot, ACKED));
  }

  #isWindowOpen(): boolean {
    return this.#unacknowledged < RESPONSE_WINDOW || this.clientGone;
  }

  readonly #isWindowWide = (): boolean =>
    this.#unacknowledged <= RESPONSE_WINDOW - WINDOW_STEP || this.clientGone;

  get #unacknowledged(): number {
    return (this.#sent - this.#acked) | 0;
  }

  #postBlock(piece: string | Uint8Array): void {
    if (this.#put(BLOCK, '', piece)) return;
    if (typeof piece === 'string' || piece.byteLength <= STRING_BLOCK_LIMIT) {
      this.#post(['block', this.#id, toText(piece)]);
      return;
    }
    const bytes = new Uint8Array(piece);
    this.#post(['block', this.#id, bytes], [bytes.buffer as ArrayBuffer]);
  }

  #put(kind: number, first: string | Uint8Array, second: string | Uint8Array): boolean {
    if (this.#isPosted) return false;
    this.#isPosted = !this.#answers.put(kind, this.#id, first, second);
    return !this.#isPosted;
  }

  #post(message: FromWorker, transfer?: Transferable[]): void {
    this.#answers.post(message, transfer);
  }
}

function waitPlainly(blocking: () => void): void {
  blocking();
}

function* cut(block: string | Uint8Array): Generator<string | Uint8Array> {
  if (block.length <= MAX_BLOCK) {
    yield block;
    return;
  }
  for (let start = 0; start < block.length; start += MAX_BLOCK) {
    const end = start + MAX_BLOCK;
    yield typeof block === 'string' ? block.slice(start, end) : block.subarray(start, end);
  }
}

function toText(block: string | Uint8Array): string {
  if (typeof block === 'string') return block;
  return Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString('latin1');
}
