/** Main thread. A request's body on its way from the client to a worker: whole first, or as it comes. */
import { LidoError } from '../contract/errors.js';
import { INLINE_BODY_LIMIT, WHOLE_BODY_LIMIT } from '../contract/protocol.js';
import type { BodyFlow, BodyReceiver, HttpRequest } from './request.js';
import { Spool, type SpooledFile, type SpoolStore } from './spool.js';

/** Takes the next chunk, which has a buffer of its own, or null at the end. */
export type BodyTarget = (chunk: Uint8Array | null) => void;

export interface BodyLimits {
  /** Bytes; 0 for no limit. */
  readonly maxBodySize: number;
  /** Milliseconds without a byte while Lido is reading; 0 for no limit. */
  readonly bodyTimeoutMs: number;
  /** Bytes a second, over RATE_WINDOW_MS, while Lido is reading; 0 for no limit. */
  readonly minRate: number;
  /** Bytes that lie in memory before they go to a file. */
  readonly memory: number;
  /** Whether the body is to be whole before a worker gets the request. */
  readonly isBuffered: boolean;
}

/** How long a client may be slower than the least rate. Milliseconds. */
const RATE_WINDOW_MS = 10_000;
/** Bytes that wait here, beyond what the worker has been given, before the client is read no further. */
const MOST_WAITING = 64 * 1024;

/** RFC 9110, section 6.5.1: fields that frame, route or authenticate come too late in a trailer. */
const FORBIDDEN_TRAILERS = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'te',
  'trailer',
  'transfer-encoding',
]);

/**
 * Collects a body whole, in memory to a limit and beyond it in a file, so that a slow client holds no worker. Where the
 * application wants to begin earlier, the body flows to its worker as it comes, no further ahead than a window.
 */
export class RequestBodySource implements BodyReceiver {
  readonly #limits: BodyLimits;
  readonly #store: SpoolStore;
  readonly #flow: BodyFlow | null;
  readonly #declared: number | null;
  readonly #expectsContinue: boolean;
  readonly #onFault: (error: LidoError) => void;
  /** A body that came in one piece, as small ones do; all others go through the spool. */
  #single: Buffer | null = null;
  #spool: Spool | null = null;
  #received = 0;
  #ended: boolean;
  #isReading = false;
  #isClosed = false;
  /** A worker reads the file. */
  #isLent = false;
  #whenReturned: Promise<unknown> | null = null;
  #target: BodyTarget | null = null;
  #credit = 0;
  #willPump = false;
  #timer: NodeJS.Timeout | null = null;
  #windowBegan = 0;
  #windowBytes = 0;
  #onCollected: (() => void) | null = null;

  constructor(
    request: HttpRequest,
    limits: BodyLimits,
    store: SpoolStore,
    onFault: (error: LidoError) => void,
  ) {
    this.#limits = limits;
    this.#store = store;
    this.#onFault = onFault;
    this.#declared = request.bodyLength;
    this.#ended = request.bodyLength === 0;
    this.#expectsContinue = !this.#ended && request.expectsContinue;
    this.#flow = this.#ended ? null : request.feedBody(this);
  }

  /** True when the whole body is here, or there is none. */
  get isWhole(): boolean {
    return this.#ended;
  }

  /** Bytes that have come. */
  get received(): number {
    return this.#received;
  }

  /** True while the client waits for `100 Continue` before it sends the body. */
  get expectsContinue(): boolean {
    return this.#expectsContinue && this.#received === 0 && !this.#ended;
  }

  /** True while the worker has been given all that came, and more is to come. */
  get isFlowing(): boolean {
    return !this.#ended && this.#target !== null && this.#credit > 0;
  }

  /** True when more than so many bytes may be left on the wire; a body of unknown length always may. */
  isLongerThan(bytes: number): boolean {
    if (this.#ended) return false;
    return this.#declared === null || this.#declared - this.#received > bytes;
  }

  /**
   * True when the body is to be whole before a worker is bothered. Where that is not wanted, a small one still is: nothing
   * could begin before it that would be worth a worker's waiting; but a client that waits for the application is let through.
   */
  get shouldCollect(): boolean {
    if (this.#ended || this.#limits.isBuffered) return !this.#ended;
    return !this.#expectsContinue && this.#declared !== null && this.#declared <= INLINE_BODY_LIMIT;
  }

  /** Why a body of the declared length cannot be collected; null when it can be, as far as that is known now. */
  findObstacle(): LidoError | null {
    const { files } = this.#store;
    const excess = (this.#declared ?? 0) - this.#limits.memory;
    return excess <= files.left ? null : files.fail(new LidoError('LIDO_BUFFER_DISK_FULL', [files.limit]));
  }

  /** Reads until the body is whole, then calls `onCollected`, once. */
  collect(onCollected: () => void): void {
    this.#onCollected = onCollected;
    this.#read();
  }

  /** The body as latin-1 text when it is whole and small, null when it is to flow. May be asked for again. */
  asText(): string | null {
    if (!this.#ended || this.#target !== null) return null;
    if (this.#single !== null) return this.#single.toString('latin1');
    if (this.#spool === null) return '';
    return this.#spool.length <= INLINE_BODY_LIMIT ? this.#spool.asText() : null;
  }

  /** The body in pieces when it is whole, lies in memory, and is not too large for that; null when it is to flow. */
  asPieces(): readonly Uint8Array[] | null {
    if (!this.#ended || this.#target !== null || this.#received > WHOLE_BODY_LIMIT) return null;
    return this.#single !== null ? [this.#single] : (this.#spool?.asPieces() ?? null);
  }

  /**
   * Lends a worker the file that the whole body lies in, which stays open until it is taken back, whatever becomes of the
   * client. Null where the body lies elsewhere, or is not whole.
   */
  lend(): SpooledFile | null {
    if (!this.#ended || this.#isClosed || this.#target !== null) return null;
    const file = this.#spool?.file ?? null;
    this.#isLent = file !== null;
    return file;
  }

  /** The worker that has the file may have it open until this settles, whatever it is told. */
  leaveLent(whenReturned: Promise<unknown>): void {
    this.#whenReturned = whenReturned;
  }

  /** No worker reads the file any more, or none did. Idempotent. */
  takeBack(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    if (this.#isClosed) this.#spool?.close(this.#whenReturned);
  }

  /** Lets the body flow to a worker, no further ahead of it than so many bytes. */
  flowTo(target: BodyTarget, window: number): void {
    this.#target = target;
    this.#credit += window;
    this.#pump();
  }

  /** The worker consumed so many bytes. */
  addCredit(bytes: number): void {
    const wasExhausted = this.#credit <= 0;
    this.#credit += bytes;
    if (wasExhausted && this.#credit > 0) this.#pump();
  }

  /** Stops reading; what arrives later is not looked at. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#clearTimer();
    this.#target = null;
    this.#onCollected = null;
    this.#single = null;
    if (!this.#isLent) this.#spool?.close(this.#whenReturned);
    this.#flow?.stop();
  }

  push(chunk: Buffer): void {
    this.#received += chunk.length;
    const { maxBodySize } = this.#limits;
    if (maxBodySize > 0 && this.#received > maxBodySize) {
      this.#refuse(413, 'the body is too large');
      return;
    }
    this.#startTimer();
    if (!this.#isFastEnough(chunk.length)) {
      this.#refuse(408, 'the body came too slowly');
      return;
    }
    if (this.#received === this.#declared && this.#spool === null) this.#single = chunk;
    else this.#keep(chunk);
    if (this.#target !== null) this.#pumpSoon();
  }

  room(): Buffer | null {
    return this.#limits.isBuffered ? this.#openSpool().room() : null;
  }

  end(trailers: readonly string[]): void {
    if (trailers.some((name) => FORBIDDEN_TRAILERS.has(name.toLowerCase()))) {
      this.#refuse(400, 'a field that may not stand in a trailer');
      return;
    }
    this.#ended = true;
    this.#clearTimer();
    if (this.#target !== null) this.#pumpSoon();
    else if (this.#spool === null) this.#finishCollecting();
    else this.#spool.complete(() => this.#finishCollecting());
  }

  fail(status: number): void {
    this.#refuse(status, 'its body was not taken');
  }

  #keep(chunk: Buffer): void {
    const spool = this.#openSpool();
    spool.append(chunk);
    if (this.#target === null && spool.length > this.#limits.memory) spool.spill();
    this.#regulate();
  }

  #openSpool(): Spool {
    this.#spool ??= new Spool(this.#store, Number.POSITIVE_INFINITY, {
      more: () => this.#pump(),
      room: () => this.#regulate(),
      // One that flows waits for the worker instead.
      overflow: (error) => {
        if (this.#target === null) this.#onFault(error);
      },
      lose: (error) => this.#onFault(error),
    });
    return this.#spool;
  }

  /** Tiny chunks come many in one packet, and go to the worker together. */
  #pumpSoon(): void {
    if (this.#willPump) return;
    this.#willPump = true;
    process.nextTick(() => {
      this.#willPump = false;
      this.#pump();
    });
  }

  #pump(): void {
    const target = this.#target;
    if (target === null) return;
    while (this.#credit > 0) {
      const chunk = this.#take();
      if (chunk === null) break;
      this.#credit -= chunk.length;
      target(ownBuffer(chunk));
    }
    if (this.#ended && (this.#spool?.length ?? 0) === 0 && this.#single === null) {
      this.#target = null;
      target(null);
    } else this.#regulate();
  }

  #take(): Uint8Array | null {
    if (this.#single === null) return this.#spool?.take() ?? null;
    const single = this.#single;
    this.#single = null;
    return single;
  }

  /** Reads on while there is room for what comes. */
  #regulate(): void {
    if (this.#ended || this.#isClosed) return;
    const waiting = this.#spool?.length ?? 0;
    const most = this.#target === null ? Number.POSITIVE_INFINITY : MOST_WAITING;
    if (waiting < most && this.#spool?.isFull !== true) this.#read();
    else this.#hold();
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#windowBegan = 0;
    this.#startTimer();
    this.#flow?.resume();
  }

  #hold(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#clearTimer();
    this.#flow?.pause();
  }

  #finishCollecting(): void {
    const callback = this.#onCollected;
    this.#onCollected = null;
    callback?.();
  }

  #refuse(status: number, reason: string): void {
    this.#onFault(new LidoError('LIDO_REQUEST_REFUSED', [reason], { status }));
  }

  /** Looked at when something comes: a client that sends nothing at all meets the time-out. */
  #isFastEnough(bytes: number): boolean {
    const { minRate } = this.#limits;
    if (minRate === 0) return true;
    const now = performance.now();
    if (this.#windowBegan === 0) {
      this.#windowBegan = now;
      this.#windowBytes = 0;
    }
    this.#windowBytes += bytes;
    const elapsedMs = now - this.#windowBegan;
    if (elapsedMs < RATE_WINDOW_MS) return true;
    const isFastEnough = this.#windowBytes * 1000 >= minRate * elapsedMs;
    this.#windowBegan = 0;
    return isFastEnough;
  }

  /** Counts only while Lido reads: an application that takes its time is not the client's fault. */
  #startTimer(): void {
    if (this.#limits.bodyTimeoutMs === 0) return;
    if (this.#timer !== null) this.#timer.refresh();
    else
      this.#timer = setTimeout(
        () => this.#refuse(408, 'the body did not come in time'),
        this.#limits.bodyTimeoutMs,
      );
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** A view would take all that lies around it to the worker. */
function ownBuffer(chunk: Uint8Array): Uint8Array {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk);
}
