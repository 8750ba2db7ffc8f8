/** Main thread. Chunks of request bodies on their way to a worker: through a ring, or by messages where it has none. */
import type { MessagePort } from 'node:worker_threads';
import { countGarbage } from '../contract/garbage.js';
import { BODIES_FREED, BODIES_WRITTEN, type BodyMessage, MAX_BLOCK } from '../contract/protocol.js';
import { BLOCK, END, RingWriter } from '../contract/ring.js';

/** Chunks of bodies on their way, whatever carries them. */
export interface BodyCarrier {
  /** Sends a chunk of the body, or null for its end. The worker is to be woken afterwards. */
  send(id: number, chunk: Uint8Array | null): void;
  /** Sends what waits for room, as far as that is there by now. Call it when the worker says that it has read on; true where there was something. */
  flush(): boolean;
}

export class BodyChannel implements BodyCarrier {
  readonly #port: MessagePort;
  readonly #ring: RingWriter | null;
  /** What the ring had no room for: many short chunks. The window of each body bounds it. */
  readonly #waiting: BodyMessage[] = [];

  constructor(port: MessagePort, memory: SharedArrayBuffer | null, control: Int32Array) {
    this.#port = port;
    const words = { written: BODIES_WRITTEN, freed: BODIES_FREED };
    this.#ring = memory === null ? null : new RingWriter(memory, control, words);
  }

  send(id: number, chunk: Uint8Array | null): void {
    if (this.#ring === null) {
      this.#port.postMessage([id, chunk] satisfies BodyMessage, transferable(chunk));
      return;
    }
    if (chunk === null || chunk.length <= MAX_BLOCK) this.#waiting.push([id, chunk]);
    else
      for (let start = 0; start < chunk.length; start += MAX_BLOCK)
        this.#waiting.push([id, chunk.subarray(start, start + MAX_BLOCK)]);
    this.flush();
  }

  flush(): boolean {
    let sent = false;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const [id, chunk] = next;
      const isPut = chunk === null ? this.#ring?.put(END, id, '', '') : this.#ring?.put(BLOCK, id, '', chunk);
      if (isPut !== true) break;
      // It has been copied.
      if (chunk !== null) countGarbage(chunk.length);
      this.#waiting.shift();
      sent = true;
    }
    return sent;
  }
}

/** A worker that waits for a body is woken for so many bytes of it, or for less at the end of a turn. */
const WORTH_WAKING = 256 * 1024;

/** Wakes a worker for chunks that were sent: that costs more than to read one, and a quick client sends several in a turn. */
export class BodyBell {
  readonly #ring: () => void;
  #unheard = 0;
  #willRing = false;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** There is a chunk of so many bytes, or at 0 the end. */
  tell(bytes: number): void {
    this.#unheard += bytes;
    if (bytes === 0 || this.#unheard >= WORTH_WAKING) this.#ringNow();
    else if (!this.#willRing) {
      this.#willRing = true;
      setImmediate(this.#endTurn);
    }
  }

  readonly #endTurn = (): void => {
    this.#willRing = false;
    if (this.#unheard > 0) this.#ringNow();
  };

  #ringNow(): void {
    this.#unheard = 0;
    this.#ring();
  }
}

/**
 * A chunk that has a buffer of its own, as node:http makes them, changes hands; copying it would leave garbage here that
 * V8 collects late, for it lies outside the heap.
 */
function transferable(chunk: Uint8Array | null): ArrayBuffer[] {
  if (chunk === null || chunk.byteLength !== chunk.buffer.byteLength) return [];
  return [chunk.buffer as ArrayBuffer];
}
