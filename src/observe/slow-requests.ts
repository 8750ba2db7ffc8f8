/** Main thread. Logs once each request that takes longer than it should, with where it stands at that moment. */
import { LidoError } from '../contract/errors.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { WorkerPool } from '../dispatch/pool.js';
import type { Session } from '../dispatch/session.js';
import type { Log } from '../log.js';
import type { PythonHost } from '../python/host.js';
import { findWorkerStack } from './stacks.js';
import { findRunning } from './worker-inspector.js';

export interface SlowRequestOptions {
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  /** Null where the application is none of Python's. */
  readonly host: PythonHost | null;
  /** 0 for none. */
  readonly limitMs: number;
  readonly log: Log;
}

const LONGEST_CHECK_MS = 250;
/** A log must not fill up because everything is slow: so many requests are told of in each period, the others are counted. */
const MAX_TOLD = 10;
const PERIOD_MS = 10_000;

/** Looks at what runs several times within the limit. Returns a function that stops it. */
export function watchSlowRequests(options: SlowRequestOptions): () => void {
  if (options.limitMs === 0) return () => {};
  const watch = new SlowRequestWatch(options);
  const timer = setInterval(
    () => void watch.check(performance.now()),
    Math.min(LONGEST_CHECK_MS, Math.max(10, options.limitMs / 8)),
  );
  timer.unref();
  return () => clearInterval(timer);
}

interface SlowRequest {
  readonly session: Session;
  readonly exchange: Exchange;
}

export class SlowRequestWatch {
  readonly #options: SlowRequestOptions;
  /** When they were first seen to run, performance.now(), where several run at once. */
  readonly #seenAt = new WeakMap<Exchange, number>();
  readonly #known = new WeakSet<Exchange>();
  #isLooking = false;
  #periodBegan = 0;
  #told = 0;
  #untold = 0;

  constructor(options: SlowRequestOptions) {
    this.#options = options;
  }

  /** Tells of what has become slow since the last time. One look at a time: what comes meanwhile is seen by the next check. */
  async check(now: number): Promise<void> {
    this.#beginPeriod(now);
    if (this.#isLooking) return;
    const slow = [...this.#options.dispatcher.sessions].flatMap((session) => this.#findSlow(session, now));
    const told = slow.slice(0, MAX_TOLD - this.#told);
    this.#told += told.length;
    this.#untold += slow.length - told.length;
    if (told.length === 0) return;
    this.#isLooking = true;
    await Promise.all(told.map((request) => this.#tell(request)));
    this.#isLooking = false;
  }

  #findSlow(session: Session, now: number): SlowRequest[] {
    const slow: SlowRequest[] = [];
    for (const exchange of findRunning(session)) {
      // What has begun its answer in a loop may be a stream of events or a WebSocket, and go on for hours.
      if (session.loop !== null && exchange.writer.state !== 'unstarted') continue;
      if (this.#known.has(exchange) || now - this.#findBegin(session, exchange, now) < this.#options.limitMs)
        continue;
      this.#known.add(exchange);
      slow.push({ session, exchange });
    }
    return slow;
  }

  #findBegin({ runsOne, busySince }: Session, exchange: Exchange, now: number): number {
    if (runsOne) return busySince;
    const seenAt = this.#seenAt.get(exchange) ?? now;
    this.#seenAt.set(exchange, seenAt);
    return seenAt;
  }

  async #tell({ session, exchange }: SlowRequest): Promise<void> {
    const { host, pool, limitMs } = this.#options;
    const { id, requestId, request, url, log } = exchange;
    const found = await findWorkerStack(session, pool, host);
    const { reason, request: seen } = found;
    const task = found.tasks.find((each) => each.request === id);
    const stack = task?.stack ?? found.stack;
    const isOver = exchange.holder !== session || (seen !== null && seen !== id);
    const { code, message } = new LidoError('LIDO_SLOW_REQUEST', [limitMs / 1000]);
    const fields = { requestId, method: request.method, url, code };
    // An asynchronous application may run several requests in one thread, and any of them may be the one that stands there.
    const whose = session.runsOne || task !== undefined ? 'it stands' : 'its thread stands';
    if (isOver) log.warn(fields, `${message}, and has ended meanwhile`);
    else if (stack === '') log.warn(fields, `${message}; where ${whose} is not known: ${reason}`);
    else log.warn({ ...fields, traceback: stack }, `${message}; ${whose} here`);
  }

  #beginPeriod(now: number): void {
    if (now - this.#periodBegan < PERIOD_MS) return;
    const { log, limitMs } = this.#options;
    if (this.#untold > 0)
      log.warn(
        `${this.#untold} more requests took longer than ${limitMs / 1000} s within ${PERIOD_MS / 1000} s`,
      );
    this.#periodBegan = now;
    this.#told = 0;
    this.#untold = 0;
  }
}
