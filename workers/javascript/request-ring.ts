// Worker thread. [5] Requests from the main thread, in memory that both share. Each is claimed before it is looked at.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
  claim,
  IN_LOOP,
  INLINE_BODY_LIMIT,
  type PostedRequest,
  REQUESTS_FREED,
  REQUESTS_WRITTEN,
  type SessionStart,
  SLEEPING,
  type ToWorker,
} from '../../src/contract/protocol.js';
import {
  FILED_REQUEST,
  POSTED_REQUEST,
  RECORD_HEADER,
  REQUESTS_SIZE,
  recordSize,
  SKIP,
  STREAMED_REQUEST,
} from '../../src/contract/ring.js';

/** A request that is this worker's. */
export interface ClaimedRequest {
  readonly id: number;
  readonly environ: string;
  /** The whole body as latin-1 text or bytes, or the descriptor of the file that it lies in, or null where it comes in chunks. */
  readonly body: string | Uint8Array | number | null;
}

export class RequestRing {
  readonly #port: MessagePort;
  readonly #hear: (message: ToWorker) => void;
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  readonly #ints: Int32Array;
  /** Bytes read, modulo 2^32, signed like the word that they are compared with. */
  #read = 0;
  /** For which the ring had no room, in their order. */
  readonly #posted: PostedRequest[] = [];

  /** `hear` is given what comes by the port while a posted request is looked for there. */
  constructor({ requests, control, rings }: SessionStart, hear: (message: ToWorker) => void) {
    this.#port = requests;
    this.#hear = hear;
    this.#control = control;
    this.#bytes = Buffer.from(rings.requests);
    this.#ints = new Int32Array(rings.requests);
  }

  /** Bytes that the main thread has written and that were not taken. */
  get waiting(): number {
    return (Atomics.load(this.#control, REQUESTS_WRITTEN) - this.#read) >>> 0;
  }

  /** The next request; null where there is none. What was recalled is passed over. */
  take(): ClaimedRequest | null {
    while (this.waiting > 0) {
      const request = this.#takeOne();
      if (request !== null) return request;
    }
    return null;
  }

  /**
   * From here on the main thread posts a message for what it writes. False where there is something already: this thread stores
   * the word and then looks at the ring, the main thread writes to the ring and then looks at the word.
   */
  fallAsleep(): boolean {
    Atomics.store(this.#control, SLEEPING, IN_LOOP);
    if (this.waiting === 0) return true;
    Atomics.store(this.#control, SLEEPING, 0);
    return false;
  }

  /** Keeps a request that came by the port until its turn has come. */
  keep(request: PostedRequest): void {
    this.#posted.push(request);
  }

  #takeOne(): ClaimedRequest | null {
    const toEnd = REQUESTS_SIZE - (this.#read & (REQUESTS_SIZE - 1));
    if (this.#ints[(REQUESTS_SIZE - toEnd) >> 2] === SKIP) this.#read = (this.#read + toEnd) | 0;
    const header = (this.#read & (REQUESTS_SIZE - 1)) >> 2;
    const kind = this.#ints[header] as number;
    const id = this.#ints[header + 1] as number;
    const environSize = this.#ints[header + 2] as number;
    const bodySize = this.#ints[header + 3] as number;
    // Even one that was recalled has to be taken from among those that were posted.
    const posted = kind === POSTED_REQUEST ? this.#takePosted() : null;
    let request: ClaimedRequest | null = null;
    if (claim(this.#control, id)) {
      const environ = header * 4 + RECORD_HEADER;
      const body = environ + environSize;
      request = posted ?? {
        id,
        environ: this.#bytes.toString('latin1', environ, body),
        body: this.#readBody(kind, body, body + bodySize),
      };
    }
    // Its place is given back once it has been copied.
    this.#read = (this.#read + recordSize(environSize + bodySize)) | 0;
    Atomics.store(this.#control, REQUESTS_FREED, this.#read);
    return request;
  }

  #readBody(kind: number, start: number, end: number): ClaimedRequest['body'] {
    if (kind === STREAMED_REQUEST) return null;
    if (end - start > INLINE_BODY_LIMIT) return Buffer.from(this.#bytes.subarray(start, end));
    const text = start === end ? '' : this.#bytes.toString('latin1', start, end);
    return kind === FILED_REQUEST ? Number(text) : text;
  }

  /** It was posted before the ring told of it. */
  #takePosted(): ClaimedRequest {
    for (;;) {
      const [, id, environ, body] = this.#posted.shift() ?? [];
      if (id !== undefined) return { id, environ: environ as string, body: body as string | null };
      this.#hear(receiveMessageOnPort(this.#port)?.message as ToWorker);
    }
  }
}
