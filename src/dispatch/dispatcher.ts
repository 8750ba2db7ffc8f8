/** Main thread. [3] Holds the backlog, and gives each request to a worker. */

import { LidoError } from '../contract/errors.js';
import { Backlog } from './backlog.js';
import type { Exchange } from './exchange.js';
import { chooseWorker, countToSteal, type DispatchPolicy, isSlow, isWorthWaking } from './policy.js';
import type { Session } from './session.js';

export interface DispatcherOptions {
  readonly policy: DispatchPolicy;
  /** Requests that may wait for a worker; one more is answered with 503. */
  readonly backlog: number;
}

/** Chooses workers by dispatch-policy.ts, and takes requests back from workers that turn out slow. */
export class Dispatcher {
  readonly #policy: DispatchPolicy;
  readonly #backlog = new Backlog();
  readonly #limit: number;
  readonly #sessions = new Set<Session>();
  /** Why there is no worker, and none is about to come. */
  #unavailable: LidoError | null = null;
  #slowTimer: NodeJS.Timeout | null = null;
  #idleWaiters: (() => void)[] = [];

  constructor({ policy, backlog }: DispatcherOptions) {
    this.#policy = policy;
    this.#limit = backlog;
  }

  /** Requests that wait for a worker, or in one behind those that it runs. */
  get waiting(): number {
    let waiting = this.#backlog.size;
    for (const session of this.#sessions) waiting += Math.max(0, session.load - this.#policy.concurrency);
    return waiting;
  }

  /** Requests that workers hold. */
  get sent(): number {
    let sent = 0;
    for (const session of this.#sessions) sent += session.load;
    return sent;
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  /** Gives a request to a worker, or to the backlog. Throws LIDO_BACKLOG_FULL when that is full, LIDO_NO_WORKER when nobody will empty it. */
  dispatch(exchange: Exchange): void {
    if (this.#unavailable !== null) throw this.#unavailable;
    const session = this.#backlog.size === 0 ? this.#choose() : null;
    const waits = session === null || session.load >= this.#policy.concurrency;
    if (waits && this.waiting >= this.#limit) throw new LidoError('LIDO_BACKLOG_FULL');
    if (session !== null) {
      this.#send(session, exchange);
      return;
    }
    this.#backlog.push(exchange);
    this.#watchSlowWorkers();
  }

  /** The client is gone, or the request is otherwise not wanted any more. */
  giveUp(exchange: Exchange): void {
    if (exchange.state === 'waiting') this.#backlog.forget(exchange);
    else if (exchange.state === 'receiving') exchange.drop();
    else if (exchange.state === 'sent') exchange.holder?.giveUp(exchange);
    this.#settleIdle();
  }

  /** No worker runs, and the last one could not start: requests are answered at once rather than left to wait. */
  declareUnavailable(error: LidoError): void {
    if (this.#sessions.size > 0) return;
    this.#unavailable = error;
    for (let exchange = this.#backlog.shift(); exchange !== null; exchange = this.#backlog.shift()) {
      exchange.finish(error);
    }
    this.#settleIdle();
  }

  addSession(session: Session): void {
    this.#unavailable = null;
    this.#sessions.add(session);
    this.#drainBacklog();
  }

  /** A session takes no new work; what its worker has not claimed goes to others. */
  retireSession(session: Session): void {
    this.#sessions.delete(session);
    this.#putBack(session.recall(Number.POSITIVE_INFINITY));
  }

  /** The worker is gone. What it ran fails with `error`; what it had not claimed is sent to others. */
  loseSession(session: Session, error: LidoError): void {
    this.#sessions.delete(session);
    this.#putBack(session.lose(error));
    this.#settleIdle();
  }

  /** A worker finished a request. */
  released(session: Session): void {
    if (this.#backlog.size > 0) this.#drainBacklog();
    else if (session.load === 0 && !this.#policy.sharedGil && this.#sessions.has(session))
      this.#stealFor(session);
    this.#settleIdle();
  }

  /** Resolves when no request waits or runs. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
      this.#settleIdle();
    });
  }

  #choose(): Session | null {
    return chooseWorker(this.#sessions, performance.now(), this.#policy);
  }

  #send(session: Session, exchange: Exchange): void {
    session.send(exchange);
    if (session.load > this.#policy.concurrency) this.#watchSlowWorkers();
  }

  #drainBacklog(): void {
    while (this.#backlog.size > 0) {
      const session = this.#choose();
      if (session === null) return;
      const exchange = this.#backlog.shift();
      if (exchange === null) return;
      this.#send(session, exchange);
    }
  }

  #stealFor(idle: Session): void {
    let busiest: Session | null = null;
    for (const session of this.#sessions) {
      if (session.load > this.#policy.concurrency && (busiest === null || session.load > busiest.load))
        busiest = session;
    }
    if (busiest === null || !isWorthWaking(busiest, this.#policy) || !this.#sessions.has(idle)) return;
    for (const exchange of busiest.recall(countToSteal(busiest, this.#policy))) this.#send(idle, exchange);
  }

  #putBack(exchanges: readonly Exchange[]): void {
    if (exchanges.length === 0) return;
    this.#backlog.putBack(exchanges);
    this.#drainBacklog();
    this.#watchSlowWorkers();
  }

  /** Runs only while something is queued behind a running request, or waits for a worker. */
  #watchSlowWorkers(): void {
    this.#slowTimer ??= setTimeout(() => {
      this.#slowTimer = null;
      this.#recallFromSlowWorkers();
    }, this.#policy.slowMs);
  }

  #recallFromSlowWorkers(): void {
    const now = performance.now();
    const recalled: Exchange[] = [];
    let queued = false;
    for (const session of this.#sessions) {
      if (session.load <= this.#policy.concurrency) continue;
      if (isSlow(session, now, this.#policy)) recalled.push(...session.recall(Number.POSITIVE_INFINITY));
      else queued = true;
    }
    if (recalled.length > 0) this.#backlog.putBack(recalled);
    this.#drainBacklog();
    // Under a shared GIL a waiting request opens another worker once the hot one turns out slow.
    if (queued || (this.#policy.sharedGil && this.#backlog.size > 0)) this.#watchSlowWorkers();
  }

  #settleIdle(): void {
    if (this.#idleWaiters.length === 0 || this.#backlog.size > 0 || this.sent > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
