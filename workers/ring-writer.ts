// Worker thread. The writer's end of the ring of blocks (see protocol.ts): cheaper than a message for each.
import type { MessagePort } from 'node:worker_threads';
import {
  type FromWorker,
  RING_FREED,
  RING_HEADER,
  RING_SIZE,
  RING_TOLD,
  RING_WRITTEN,
  ringRecordSize,
} from '../src/contract/protocol.js';

export class RingWriter {
  readonly #bytes: Buffer;
  readonly #ints: Int32Array;
  readonly #control: Int32Array;
  readonly #port: MessagePort;
  /** Bytes written, modulo 2^32. */
  #written = 0;

  constructor(memory: SharedArrayBuffer, control: Int32Array, port: MessagePort) {
    this.#bytes = Buffer.from(memory);
    this.#ints = new Int32Array(memory);
    this.#control = control;
    this.#port = port;
  }

  /** Copies a block, bytes or latin-1 text, to the main thread. False when there is no room for it now. */
  put(id: number, block: string | Uint8Array): boolean {
    const size = ringRecordSize(block.length);
    let offset = this.#written & (RING_SIZE - 1);
    const toEnd = RING_SIZE - offset;
    const skipped = size > toEnd ? toEnd : 0;
    const used = (this.#written - Atomics.load(this.#control, RING_FREED)) >>> 0;
    if (used + skipped + size > RING_SIZE) return false;
    if (skipped > 0) {
      this.#ints[offset >> 2] = 0;
      offset = 0;
    }
    this.#ints[offset >> 2] = id;
    this.#ints[(offset >> 2) + 1] = block.length;
    const start = offset + RING_HEADER;
    if (typeof block === 'string') this.#bytes.write(block, start, 'latin1');
    // A plain memcpy; set() copies into shared memory word by word, which takes three times as long.
    else this.#bytes.fill(block, start, start + block.length);
    this.#written = (this.#written + skipped + size) >>> 0;
    Atomics.store(this.#control, RING_WRITTEN, this.#written);
    this.#tell();
    return true;
  }

  #tell(): void {
    if (Atomics.exchange(this.#control, RING_TOLD, 1) === 1) return;
    const message: FromWorker = ['blocks'];
    this.#port.postMessage(message);
  }
}
