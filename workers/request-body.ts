// Worker thread. The chunks of request bodies, as they come from the main thread.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';

import { LidoError } from '../src/contract/errors.js';
import { countGarbage } from '../src/contract/garbage.js';
import { BODY_WINDOW, type BodyMessage, GONE, SIGNAL, slotOf, slotWord } from '../src/contract/protocol.js';
import { BodyFile } from './body-file.js';
import type { Sender } from './sender.js';

/** So often at most the main thread is told that a body in a file is being read. Milliseconds. */
const SIGN_MS = 100;

/** Sorts what comes on the session's body port by request; chunks of requests that are over are dropped. */
export class BodyInbox {
  readonly #port: MessagePort;
  readonly #chunks = new Map<number, (Uint8Array | null)[]>();

  constructor(port: MessagePort) {
    this.#port = port;
  }

  open(id: number): void {
    this.#chunks.set(id, []);
  }

  /** The next chunk if one has arrived, null at the body's end, undefined when nothing is there yet. */
  take(id: number): Uint8Array | null | undefined {
    for (
      let received = receiveMessageOnPort(this.#port);
      received;
      received = receiveMessageOnPort(this.#port)
    ) {
      const [target, chunk] = received.message as BodyMessage;
      this.#chunks.get(target)?.push(chunk);
    }
    return this.#chunks.get(id)?.shift();
  }

  close(id: number): void {
    this.take(id);
    this.#chunks.delete(id);
  }
}

/** One request's body, chunk by chunk. */
export class RequestBody {
  readonly #id: number;
  readonly #slot: number;
  readonly #sender: Sender;
  readonly #control: Int32Array;
  readonly #inbox: BodyInbox;
  /** The whole body, text as latin-1; null when it comes otherwise. */
  readonly #inline: string | Uint8Array | null;
  /** The file that the whole body lies in; null where it does not. */
  readonly #file: BodyFile | null;
  #signedAt = 0;
  #asked = false;
  #ended: boolean;
  #consumed = 0;

  constructor(
    session: { control: Int32Array; inbox: BodyInbox },
    sender: Sender,
    id: number,
    body: string | Uint8Array | number | null,
  ) {
    this.#id = id;
    this.#slot = slotOf(id);
    this.#sender = sender;
    this.#control = session.control;
    this.#inbox = session.inbox;
    this.#inline = typeof body === 'number' ? null : body;
    this.#file = typeof body === 'number' ? this.#openFile(body) : null;
    this.#ended = body === '';
    if (this.#comesInChunks) this.#inbox.open(this.#id);
  }

  /** The body when it travelled with the request, text as latin-1; null when it comes otherwise. */
  get inline(): string | Uint8Array | null {
    return this.#inline;
  }

  /**
   * The next chunk, or null at the end. Blocks the thread until one is there; the main thread wakes it with a chunk,
   * the end, or the client's going away, which throws LIDO_CLIENT_GONE.
   */
  nextChunk(): Uint8Array | null {
    const word = slotWord(this.#slot, SIGNAL);
    for (;;) {
      const seen = Atomics.load(this.#control, word);
      const chunk = this.#takeChunk();
      if (chunk !== undefined) return chunk;
      Atomics.wait(this.#control, word, seen);
    }
  }

  /** The same without blocking the thread, for asynchronous applications. */
  async nextChunkAsync(): Promise<Uint8Array | null> {
    const word = slotWord(this.#slot, SIGNAL);
    for (;;) {
      const seen = Atomics.load(this.#control, word);
      const chunk = this.#takeChunk();
      if (chunk !== undefined) return chunk;
      await Atomics.waitAsync(this.#control, word, seen).value;
    }
  }

  /** Drops what has not been read; call it once the request is over. */
  close(): void {
    this.#file?.close();
    if (this.#comesInChunks) this.#inbox.close(this.#id);
    this.#ended = true;
  }

  /** Null where it cannot be had, or was closed meanwhile: GONE is stored before that, and its number may be another file's since. */
  #openFile(fd: number): BodyFile | null {
    const file = BodyFile.open(fd);
    if (file === null || !this.#isGone) return file;
    file.close();
    return null;
  }

  /** The client is gone, or nothing more is wanted. */
  get #isGone(): boolean {
    return Atomics.load(this.#control, slotWord(this.#slot, GONE)) === this.#id;
  }

  get #comesInChunks(): boolean {
    return this.#inline === null && this.#file === null;
  }

  #takeChunk(): Uint8Array | null | undefined {
    if (this.#ended) return null;
    if (this.#inline !== null) {
      this.#ended = true;
      if (typeof this.#inline === 'string') return Buffer.from(this.#inline, 'latin1');
      countGarbage(this.#inline.length);
      return this.#inline;
    }
    if (this.#file !== null) return this.#readFile(this.#file);
    this.#askForBody();
    const chunk = this.#inbox.take(this.#id);
    if (chunk === undefined && this.#isGone) throw new LidoError('LIDO_CLIENT_GONE');
    if (chunk === null) this.#ended = true;
    else if (chunk !== undefined) this.#giveCredit(chunk.byteLength);
    return chunk;
  }

  #readFile(file: BodyFile): Uint8Array | null {
    const piece = file.next();
    if (piece === null) this.#ended = true;
    else this.#showSign(piece.length);
    return piece;
  }

  /** Who reads is at work: its request is not overdue. */
  #showSign(bytes: number): void {
    this.#consumed += bytes;
    const now = performance.now();
    if (now - this.#signedAt < SIGN_MS) return;
    this.#signedAt = now;
    this.#sender.say(['credit', this.#id, this.#consumed]);
    this.#consumed = 0;
  }

  #askForBody(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#sender.say(['read', this.#id]);
  }

  /** Credit goes back in large steps: a message for every chunk would double the messages. */
  #giveCredit(bytes: number): void {
    this.#consumed += bytes;
    countGarbage(bytes);
    if (this.#consumed < BODY_WINDOW / 2) return;
    this.#sender.say(['credit', this.#id, this.#consumed]);
    this.#consumed = 0;
  }
}
