/** Main thread. All WebSockets of one application: asked for a sign of life, ended when they give none, closed together. */
import type { WebSocketConnection } from './connection.js';

/** Milliseconds. */
export interface WatchOptions {
  /** A client that was not heard for so long is asked for a sign; 0 for never. */
  readonly pingIntervalMs: number;
  /** How long it may take to give one; 0 for no limit. */
  readonly pingTimeoutMs: number;
  /** How long it may take nothing of what was sent; 0 for no limit. */
  readonly sendTimeoutMs: number;
}

/** What was seen of a WebSocket when it was looked at. Times are performance.now(). */
interface Sight {
  /** When it was asked for a sign that it has not given; 0 where it was not. */
  askedAt: number;
  /** How much it had taken of what was sent, and since when that is so. */
  acknowledged: number;
  acknowledgedAt: number;
}

/** How often they are looked at, at most and at least: a quarter of the shortest time in between. Milliseconds. */
const LONGEST_CHECK_MS = 1000;
const SHORTEST_CHECK_MS = 20;

export class WebSocketWatch {
  readonly #options: WatchOptions;
  readonly #periodMs: number;
  readonly #sights = new Map<WebSocketConnection, Sight>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WatchOptions) {
    this.#options = options;
    const shortest = Math.min(...Object.values(options).filter((limit: number) => limit > 0));
    this.#periodMs = Math.max(SHORTEST_CHECK_MS, Math.min(LONGEST_CHECK_MS, shortest / 4));
  }

  /** WebSockets that are open. */
  get size(): number {
    return this.#sights.size;
  }

  add(webSocket: WebSocketConnection): void {
    this.#sights.set(webSocket, { askedAt: 0, acknowledged: 0, acknowledgedAt: 0 });
    this.#timer ??= setInterval(this.#check, this.#periodMs).unref();
  }

  delete(webSocket: WebSocketConnection): void {
    this.#sights.delete(webSocket);
    if (this.#sights.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Begins to close all of them. */
  closeAll(code: number): void {
    for (const webSocket of this.#sights.keys()) webSocket.close(code, '');
  }

  readonly #check = (): void => {
    const now = performance.now();
    for (const [webSocket, sight] of this.#sights) {
      // A sign would come behind what the client has not taken yet, or what the application has not.
      if (webSocket.isBlocked) this.#checkSending(webSocket, sight, now);
      else if (!webSocket.isHeld) this.#checkHearing(webSocket, sight, now);
      if (webSocket.isBlocked || webSocket.isHeld) sight.askedAt = 0;
      else sight.acknowledgedAt = 0;
    }
  };

  #checkSending(webSocket: WebSocketConnection, sight: Sight, now: number): void {
    const { acknowledged } = webSocket;
    if (sight.acknowledgedAt === 0 || acknowledged !== sight.acknowledged) {
      sight.acknowledged = acknowledged;
      sight.acknowledgedAt = now;
    } else if (isOver(now - sight.acknowledgedAt, this.#options.sendTimeoutMs)) webSocket.terminate();
  }

  #checkHearing(webSocket: WebSocketConnection, sight: Sight, now: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    if (webSocket.heardAt > sight.askedAt) sight.askedAt = 0;
    if (sight.askedAt > 0 && isOver(now - sight.askedAt, pingTimeoutMs)) webSocket.terminate();
    else if (isOver(now - Math.max(webSocket.heardAt, sight.askedAt), pingIntervalMs)) {
      // With a longer time-out than interval it is asked again, and has from the first time on.
      if (sight.askedAt === 0) sight.askedAt = now;
      webSocket.ping();
    }
  }
}

function isOver(age: number, limit: number): boolean {
  return limit > 0 && age >= limit;
}
