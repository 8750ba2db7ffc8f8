/** Main thread. A request's body on its way from the socket to a worker, under credit. */
import { BODY_WINDOW, INLINE_BODY_LIMIT } from '../contract/protocol.js';
import type { BodyFlow, BodyReceiver, HttpRequest } from './request.js';

/** Takes the next chunk, or null at the end. */
export type BodyTarget = (chunk: Uint8Array | null) => void;

export interface BodyLimits {
  /** Bytes; 0 for no limit. */
  readonly maxBodySize: number;
  /** Milliseconds without a byte while Lido is reading; 0 for no limit. */
  readonly bodyTimeoutMs: number;
}

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
 * Collects a small body whole, and lets a large one flow once a worker is ready for it. Nothing is read from the
 * socket beyond INLINE_BODY_LIMIT before a worker has the request, nor beyond BODY_WINDOW of what it consumed after.
 */
export class RequestBodySource implements BodyReceiver {
  readonly #limits: BodyLimits;
  readonly #onFault: (status: number) => void;
  /** Null where there is no body. */
  readonly #flow: BodyFlow | null;
  /** As declared; null for one that comes in chunks. */
  readonly #declared: number | null;
  readonly #chunks: Buffer[] = [];
  #collected = 0;
  #received = 0;
  #ended: boolean;
  #target: BodyTarget | null = null;
  #credit = BODY_WINDOW;
  #timer: NodeJS.Timeout | null = null;
  #onCollected: (() => void) | null = null;
  /** True when the client waits for `100 Continue`; the body is then not collected. */
  readonly expectsContinue: boolean;

  /** `onFault` gets the status for a body that is not to be had: it is broken off, malformed, too large or too slow. */
  constructor(request: HttpRequest, limits: BodyLimits, onFault: (status: number) => void) {
    this.#limits = limits;
    this.#onFault = onFault;
    this.#declared = request.bodyLength;
    this.#ended = request.bodyLength === 0;
    this.expectsContinue = !this.#ended && request.expectsContinue;
    this.#flow = this.#ended ? null : request.feedBody(this);
  }

  /** True when the whole body is here, or there is none: it travels with the request. */
  get isWhole(): boolean {
    return this.#ended;
  }

  /** Bytes that have come. */
  get received(): number {
    return this.#received;
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

  /** Bytes of a body received whole. */
  get length(): number {
    return this.#collected;
  }

  /** True when the body is worth collecting before a worker is bothered. */
  get shouldCollect(): boolean {
    if (this.#ended || this.expectsContinue) return false;
    return this.#declared === null || this.#declared <= INLINE_BODY_LIMIT;
  }

  /** Reads until the body is whole or larger than INLINE_BODY_LIMIT, then calls `onCollected`, once. */
  collect(onCollected: () => void): void {
    this.#onCollected = onCollected;
    this.#resume();
  }

  /** The body as latin-1 text when it is whole, null when it will flow. */
  asText(): string | null {
    if (!this.#ended || this.#target !== null) return null;
    if (this.#chunks.length === 0) return '';
    return Buffer.concat(this.#chunks).toString('latin1');
  }

  /** Lets the body flow to a worker, starting with what was collected. */
  flowTo(target: BodyTarget): void {
    this.#target = target;
    for (const chunk of this.#chunks.splice(0)) this.#forward(chunk);
    if (this.#ended) target(null);
    else this.#resume();
  }

  /** The worker consumed so many bytes. */
  addCredit(bytes: number): void {
    const wasExhausted = this.#credit <= 0;
    this.#credit += bytes;
    if (wasExhausted && this.#credit > 0 && !this.#ended) this.#resume();
  }

  /** Stops reading; what arrives later is not looked at. */
  close(): void {
    this.#clearTimer();
    this.#target = null;
    this.#onCollected = null;
    this.#chunks.length = 0;
    this.#flow?.stop();
  }

  push(chunk: Buffer): void {
    this.#received += chunk.length;
    const { maxBodySize } = this.#limits;
    if (maxBodySize > 0 && this.#received > maxBodySize) {
      this.#onFault(413);
      return;
    }
    this.#startTimer();
    if (this.#target !== null) {
      this.#forward(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.#collected += chunk.length;
    if (this.#collected <= INLINE_BODY_LIMIT) return;
    this.#pause();
    this.#finishCollecting();
  }

  end(trailers: readonly string[]): void {
    if (trailers.some((name) => FORBIDDEN_TRAILERS.has(name.toLowerCase()))) {
      this.#onFault(400);
      return;
    }
    this.#ended = true;
    this.#clearTimer();
    if (this.#target === null) this.#finishCollecting();
    else this.#target(null);
  }

  fail(status: number): void {
    this.#onFault(status);
  }

  #finishCollecting(): void {
    const callback = this.#onCollected;
    this.#onCollected = null;
    callback?.();
  }

  #forward(chunk: Buffer): void {
    this.#credit -= chunk.length;
    this.#target?.(chunk);
    if (this.#credit <= 0 && !this.#ended) this.#pause();
  }

  #pause(): void {
    this.#clearTimer();
    this.#flow?.pause();
  }

  #resume(): void {
    this.#startTimer();
    this.#flow?.resume();
  }

  /** Counts only while Lido reads: an application that takes its time is not the client's fault. */
  #startTimer(): void {
    if (this.#limits.bodyTimeoutMs === 0) return;
    if (this.#timer !== null) {
      this.#timer.refresh();
      return;
    }
    this.#timer = setTimeout(() => this.#onFault(408), this.#limits.bodyTimeoutMs);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
