/**
 * Memory that two threads share, in which one of them writes records one behind the other, and the other reads them.
 *
 * A record is four Int32 and two pieces of content, the first behind the header, the second behind the first:
 * kind, id of the request that it is about, bytes of the first piece, bytes of the second. It takes up a multiple of 16 bytes,
 * so that a header never lies across the end. Records of several requests may follow one another in any order.
 *
 * Each side has a word of its own in the control array, which counts bytes modulo 2^32: the writer's says how far the ring is
 * written, and is stored after what was written; the reader's says how far it may be written over, and is stored after what
 * lay there was read. Sizes are powers of two, so that the counts may overflow.
 */

/** The kinds of records. Python gets these numbers, and the others that it needs, from WIRE. */
export const SKIP = 0;
/** Answers. A head and the whole body; the request is over. */
export const RESPONSE = 1;
/** A head, and the first block or none. */
export const HEAD = 2;
/** In answers no first piece and a further block; in bodies a chunk. */
export const BLOCK = 3;
/** In answers the body is complete, close() runs. */
export const WHOLE = 4;
/** In answers the request is over; in bodies the body is. */
export const END = 5;
/** One of the messages of protocol.ts that is not worth a form of its own, as JSON. */
export const MESSAGE = 6;
/** Requests. Environ and whole body. */
export const REQUEST = 7;
/** Environ; the body comes by the ring of bodies, once 'read' asks for it. */
export const STREAMED_REQUEST = 8;
/** The ring has no room for it: it comes by the port, as a message. */
export const POSTED_REQUEST = 9;
/**
 * To a worker that runs a loop, which has one ring for all that it is told: requests, and BLOCK and END of their bodies.
 * A piece of what the next record of the same id goes on with: what is long goes ahead in pieces, as second content.
 */
export const PART = 10;
/** The request's client is gone, or nothing more of its answer is wanted. */
export const LEFT = 11;
/** The request's task is to be cancelled. */
export const CANCEL = 12;
/**
 * The main thread has answered what the request waits for in its slot's words: the window has room, a file was opened. Of no
 * request, 0: the ring of answers has room.
 */
export const ROOM = 13;
/** Finish what runs, then end the session, within so many seconds: the first content, in decimal. */
export const CLOSE = 14;
/** To a loop: a client asks for a WebSocket. Environ. */
export const WEBSOCKET = 15;
/** From a loop: the application accepts it. The head of the answer. */
export const ACCEPT = 16;
/** A message of a WebSocket, both ways: second content, in UTF-8 where it is text. PARTs go ahead both ways, too. */
export const TEXT = 17;
export const BINARY = 18;
/**
 * Both ways: a WebSocket is over, or the application wants it to be, or does not accept it. The code in decimal, and the reason
 * in UTF-8.
 */
export const CLOSED = 19;
/** Requests. Environ, and the descriptor of the file that the whole body lies in, in decimal: the worker makes one of its own of it. */
export const FILED_REQUEST = 20;

/** Bytes of a record before its content, and what its size is a multiple of. */
export const RECORD_HEADER = 16;

/** Room for several bodies of WHOLE_BODY_LIMIT. */
export const REQUESTS_SIZE = 1024 * 1024;
/**
 * A request that ends leaves at most BODY_WINDOW of chunks unread, which its successor passes over; so there is always room
 * for two windows of chunks, however short those are.
 */
export const BODIES_SIZE = 2 * 1024 * 1024;
/** What a loop is told: a turn's worth of requests, and of chunks of many bodies. What it has no room for waits. */
export const INBOX_SIZE = 1024 * 1024;
/** More than twice RESPONSE_WINDOW and MAX_BLOCK together: blocks are acknowledged a little before the socket gives them back. */
export const ANSWERS_SIZE = 2 * 1024 * 1024;

/** What a record with so many bytes of content takes up. */
export function recordSize(length: number): number {
  return (RECORD_HEADER + length + RECORD_HEADER - 1) & -RECORD_HEADER;
}

/** Where a ring's two counts are in the control array. */
export interface RingWords {
  readonly written: number;
  readonly freed: number;
}

/** The writing end. */
export class RingWriter {
  readonly #bytes: Buffer;
  readonly #ints: Int32Array;
  readonly #control: Int32Array;
  readonly #words: RingWords;
  readonly #size: number;
  /** Bytes written, modulo 2^32. */
  #written = 0;

  constructor(memory: SharedArrayBuffer, control: Int32Array, words: RingWords) {
    this.#bytes = Buffer.from(memory);
    this.#ints = new Int32Array(memory);
    this.#control = control;
    this.#words = words;
    this.#size = memory.byteLength;
  }

  /**
   * Copies a record, bytes or latin-1 text, to the other thread. False when it would leave less than `reserve` bytes free:
   * then nothing is written.
   */
  put(
    kind: number,
    id: number,
    first: string | Uint8Array,
    second: string | Uint8Array,
    reserve = 0,
  ): boolean {
    const start = this.#open(kind, id, first, second.length, reserve);
    if (start === null) return false;
    this.#copy(second, start);
    this.#publish();
    return true;
  }

  /** The same where the second content is in pieces. */
  putPieces(
    kind: number,
    id: number,
    first: string | Uint8Array,
    pieces: readonly Uint8Array[],
    reserve = 0,
  ): boolean {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    let start = this.#open(kind, id, first, length, reserve);
    if (start === null) return false;
    for (const piece of pieces) {
      this.#copy(piece, start);
      start += piece.length;
    }
    this.#publish();
    return true;
  }

  /** Writes header and first content, which the other thread does not see yet; returns where the second begins. */
  #open(
    kind: number,
    id: number,
    first: string | Uint8Array,
    secondLength: number,
    reserve: number,
  ): number | null {
    const size = recordSize(first.length + secondLength);
    const used = (this.#written - Atomics.load(this.#control, this.#words.freed)) >>> 0;
    let offset = this.#written & (this.#size - 1);
    const toEnd = this.#size - offset;
    const skipped = size > toEnd ? toEnd : 0;
    if (used + skipped + size + reserve > this.#size) return null;
    if (skipped > 0) {
      this.#ints[offset >> 2] = SKIP;
      offset = 0;
    }
    const header = offset >> 2;
    this.#ints[header] = kind;
    this.#ints[header + 1] = id;
    this.#ints[header + 2] = first.length;
    this.#ints[header + 3] = secondLength;
    const start = offset + RECORD_HEADER;
    this.#copy(first, start);
    this.#written = (this.#written + skipped + size) >>> 0;
    return start + first.length;
  }

  #publish(): void {
    Atomics.store(this.#control, this.#words.written, this.#written | 0);
  }

  #copy(content: string | Uint8Array, start: number): void {
    if (content.length === 0) return;
    if (typeof content === 'string') this.#bytes.write(content, start, 'latin1');
    // A plain memcpy; set() copies into shared memory word by word, which takes three times as long.
    else this.#bytes.fill(content, start, start + content.length);
  }
}
