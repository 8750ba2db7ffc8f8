/** Main thread. What an application has produced and its client has not taken: the worker does not wait for that. */
import type { ResponseSink } from './response-sink.js';
import { type BlockOutlet, ShortBlocks } from './short-blocks.js';
import { Spool, type SpoolStore } from './spool.js';

export interface AnswerBuffering {
  readonly store: SpoolStore;
  /** Bytes of one answer that lie in memory before they go to a file. */
  readonly memory: number;
  /** True while a request waits for a worker. */
  readonly isWorkerWanted: () => boolean;
}

/**
 * How long the worker waits for a client that has not taken all of what it was sent, while another request waits for the
 * worker, and while none does. Copying and keeping everything would halve the speed of a quick client, which makes room
 * within this time; a slow one costs a worker no more than this. Milliseconds.
 */
const PATIENCE_MS = 50;
const IDLE_PATIENCE_MS = 1000;
/** Bytes from the buffer that the sink has before it has passed on those before them. */
const MOST_PASSED_ON = 512 * 1024;
/** An answer's file may have this part of the bytes that all files may have: one that never ends must not have all. */
const SHARE_OF_FILES = 1 / 4;

/**
 * Passes blocks on for as long as the client is quick. Once it is not, keeps them until it has taken all: in memory up to
 * a limit, then in a file, up to a limit too. Only then does the worker wait.
 */
export class AnswerBuffer implements BlockOutlet {
  readonly #sink: ResponseSink;
  readonly #outlet: BlockOutlet;
  readonly #buffering: AnswerBuffering;
  /** Made once something has to wait here. */
  #spool: Spool | null = null;
  /** Bytes that the sink has, since it had passed on everything. */
  #passed = 0;
  #isSlow = false;
  /** The sink is to be ended once the spool is empty. */
  #isEnding = false;
  #patience: NodeJS.Timeout | null = null;
  /** When the worker began to wait. performance.now(). */
  #waitsSince = 0;
  #waiting: (() => void)[] = [];

  constructor(sink: ResponseSink, buffering: AnswerBuffering) {
    this.#sink = sink;
    this.#outlet = new ShortBlocks(sink);
    this.#buffering = buffering;
  }

  /** False where there is no room: `drained` is told when there is. */
  write(block: string | Uint8Array, giveBack?: () => void): boolean {
    if (!this.#isSlow) return this.#pass(block, giveBack);
    const spool = this.#keep(block);
    giveBack?.();
    return !spool.isFull;
  }

  end(block: string | Uint8Array): void {
    if (this.#length === 0) {
      this.#stopWaiting();
      this.#outlet.end(block);
      return;
    }
    this.#isEnding = true;
    if (block.length > 0) this.#keep(block);
  }

  onceDrained(listener: () => void): void {
    this.#waiting.push(listener);
  }

  /** Nothing is written any more. Idempotent. */
  close(): void {
    this.#stopWaiting();
    this.#waiting = [];
    this.#spool?.close();
  }

  /** Bytes that wait here. */
  get #length(): number {
    return this.#spool?.length ?? 0;
  }

  #pass(block: string | Uint8Array, giveBack?: () => void): boolean {
    if (this.#outlet.write(block, giveBack)) return true;
    if (this.#passed === 0) this.#outlet.onceDrained(this.#handleDrained);
    this.#passed += block.length;
    if (!this.#isSlow && this.#patience === null) {
      this.#waitsSince = performance.now();
      this.#patience = setTimeout(this.#losePatience, PATIENCE_MS);
    }
    return false;
  }

  readonly #handleDrained = (): void => {
    this.#passed = 0;
    this.#stopWaiting();
    this.#pump();
  };

  readonly #losePatience = (): void => {
    const waited = performance.now() - this.#waitsSince;
    if (waited < IDLE_PATIENCE_MS && !this.#buffering.isWorkerWanted()) {
      this.#patience?.refresh();
      return;
    }
    this.#isSlow = true;
    this.#stopWaiting();
    this.#tellDrained();
  };

  #pump(): void {
    while (this.#passed < MOST_PASSED_ON) {
      const chunk = this.#spool?.take() ?? null;
      if (chunk === null) break;
      this.#pass(chunk);
    }
    if (this.#length === 0 && this.#passed === 0) this.#isSlow = false;
    if (this.#length > 0 || !this.#isEnding) this.#goOn();
    else {
      this.#isEnding = false;
      this.#outlet.end('');
    }
  }

  /** What lies in memory that threads share is the worker's again once this returns. */
  #keep(block: string | Uint8Array): Spool {
    const spool = this.#openSpool();
    if (typeof block === 'string') spool.append(Buffer.from(block, 'latin1'));
    else spool.append(block.buffer instanceof SharedArrayBuffer ? Buffer.from(block) : block);
    if (spool.length > this.#buffering.memory) spool.spill();
    return spool;
  }

  #openSpool(): Spool {
    if (this.#spool !== null) return this.#spool;
    const { store } = this.#buffering;
    this.#spool = new Spool(store, Math.floor(store.files.limit * SHARE_OF_FILES), {
      more: () => this.#pump(),
      room: () => this.#goOn(),
      // What is here is not lost, and the worker waits for its client, as it would without a buffer.
      overflow: () => {},
      lose: () => this.#sink.abort(),
    });
    this.#sink.onceClosed(() => this.close());
    return this.#spool;
  }

  #goOn(): void {
    if (this.#spool?.isFull !== true) this.#tellDrained();
  }

  #tellDrained(): void {
    for (const listener of this.#waiting.splice(0)) listener();
  }

  #stopWaiting(): void {
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#patience = null;
  }
}
