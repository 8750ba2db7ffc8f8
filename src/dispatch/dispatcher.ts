/** Main thread. [3] Holds the backlog, and gives each request to a worker. */

import { LidoError } from '../contract/errors.js';
import { Backlog } from './backlog.js';
import type { Elsewhere } from './elsewhere.js';
import type { Exchange } from './exchange.js';
import { chooseLateUnderGil, chooseUnderGil, hasVacancyUnderGil, isOverdue, mostHeld } from './gil-policy.js';
import { GilProbe } from './gil-probe.js';
import type { Clock, DispatcherOptions, DispatchWorker, Job } from './job.js';
import { type Manner, Manners, readManner } from './manners.js';
import { Patience } from './patience.js';
import {
  chooseWorker,
  countToSteal,
  type DispatchPolicy,
  hasVacancy,
  isSlow,
  isStuck,
  isWorthLeaving,
  isWorthWaking,
} from './policy.js';
import type { Session } from './session.js';
import { countFull, countHeld, countQueued, findLongestWait } from './workload.js';

const REAL_TIME: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => void setTimeout(callback, ms),
};

/** Chooses workers by policy.ts or gil-policy.ts, and takes requests back from workers that turn out slow. */
export class JobDispatcher<J extends Job<J>, W extends DispatchWorker<J>> {
  readonly #policy: DispatchPolicy;
  readonly #backlog = new Backlog<J>();
  readonly #patience: Patience<J>;
  readonly #elsewhere: Elsewhere<J> | null;
  readonly #clock: Clock;
  /** Asked only where workers share one GIL. */
  readonly #manners = new Manners();
  readonly #probe: GilProbe<J, W>;
  readonly #limit: number;
  readonly #sessions = new Set<W>();
  /** Why there is no worker, and none is about to come. */
  #unavailable: LidoError | null = null;
  #isWatching = false;
  #idleWaiters: (() => void)[] = [];

  constructor({
    policy,
    backlog,
    backlogTimeoutMs,
    elsewhere = null,
    clock = REAL_TIME,
  }: DispatcherOptions<J>) {
    this.#policy = policy;
    this.#limit = backlog;
    this.#patience = new Patience(this.#backlog, backlogTimeoutMs);
    this.#elsewhere = elsewhere;
    this.#clock = clock;
    this.#probe = new GilProbe(clock, this.#manners);
  }

  /** Requests that wait for a worker, or in one behind those that it runs. */
  get waiting(): number {
    return this.#backlog.size + countQueued(this.#sessions, this.#policy);
  }

  /** Requests that no worker has yet. */
  get inBacklog(): number {
    return this.#backlog.size;
  }

  /** The one of them that has waited longest; null where there is none. */
  get oldestInBacklog(): J | null {
    return this.#backlog.oldest;
  }

  /** How long requests wait for a worker, about: the oldest in the backlog so far, and the last that lies in a worker behind others. Milliseconds. */
  get longestWaitMs(): number {
    const now = this.#clock.now();
    const oldest = this.#backlog.oldest;
    const inBacklog = oldest === null ? 0 : now - oldest.waitingSince;
    return Math.max(inBacklog, findLongestWait(this.#sessions, now, this.#policy));
  }

  /** Workers that can begin no further request now. */
  get full(): number {
    return countFull(this.#sessions, this.#policy);
  }

  /** Requests that workers hold, running or queued. */
  get sent(): number {
    return countHeld(this.#sessions);
  }

  get sessions(): ReadonlySet<W> {
    return this.#sessions;
  }

  /** Gives a request to a worker, or to the backlog. Throws LIDO_BACKLOG_FULL when that is full, LIDO_NO_WORKER when nobody will empty it. */
  dispatch(exchange: J): void {
    if (this.#unavailable !== null) throw this.#unavailable;
    if (this.#elsewhere !== null && this.#isHeldUp() && this.#elsewhere.take(exchange)) return;
    // Under one GIL those in the backlog may wait for one another, and a request of another kind need not.
    const session = this.#backlog.size === 0 || this.#policy.sharedGil ? this.#choose(exchange) : null;
    const waits = session === null || session.load >= this.#policy.concurrency;
    if (waits && this.waiting >= this.#limit) throw this.#describeFull();
    if (session !== null) {
      this.#send(session, exchange);
      return;
    }
    const now = this.#clock.now();
    this.#backlog.push(exchange, now);
    this.#watchSlowWorkers();
    this.#lookLater(this.#patience.begin(now));
  }

  /** The client is gone, or the request is otherwise not wanted any more. */
  giveUp(exchange: J): void {
    if (exchange.state === 'waiting') this.#backlog.forget(exchange);
    else if (exchange.state === 'receiving') exchange.drop();
    else if (exchange.state === 'sent') exchange.holder?.giveUp(exchange);
    this.#settleIdle();
  }

  /** No worker runs, and the last one could not start: requests are answered at once rather than left to wait. */
  declareUnavailable(error: LidoError): void {
    if (this.#sessions.size === 0) this.refuseAll(error);
  }

  /** The workers that are there answer no more: what they have not begun, and what comes until another starts, is refused. */
  refuseAll(error: LidoError): void {
    const now = this.#clock.now();
    for (const session of this.#sessions)
      this.#backlog.putBack(session.recall(Number.POSITIVE_INFINITY), now);
    this.#unavailable = error;
    for (let exchange = this.#backlog.shift(); exchange !== null; exchange = this.#backlog.shift()) {
      exchange.finish(error);
    }
    this.#settleIdle();
  }

  /** What every request is refused with for now; null where they are taken. */
  get unavailable(): LidoError | null {
    return this.#unavailable;
  }

  addSession(session: W): void {
    this.#unavailable = null;
    this.#sessions.add(session);
    this.#drainBacklog();
    this.#tellElsewhere();
  }

  /** A session takes no new work; what its worker has not claimed goes to others. */
  retireSession(session: W): void {
    this.#sessions.delete(session);
    this.#putBack(session.recall(Number.POSITIVE_INFINITY));
    this.#tellElsewhere();
  }

  /** The worker is gone. What it ran fails with `error`; what it had not claimed is sent to others. */
  loseSession(session: W, error: LidoError): void {
    this.#sessions.delete(session);
    this.#putBack(session.lose(error));
    this.#tellElsewhere();
    this.#settleIdle();
  }

  /** What a request did with the GIL, as the worker tells it in MANNER. */
  measured({ target }: J, word: number): void {
    const seen = readManner(word);
    if (seen !== null) this.#manners.learn(target, seen);
  }

  /** A worker finished a request. */
  released(session: W): void {
    this.#patience.countAnswer();
    // One that answers after all ends what refuseAll() began.
    if (this.#unavailable !== null && this.#sessions.has(session)) this.#unavailable = null;
    if (this.#policy.sharedGil && this.#mayRunElsewhere(session))
      this.#putBack(session.recall(Number.POSITIVE_INFINITY));
    if (this.#backlog.size > 0) this.#drainBacklog();
    else if (session.load === 0 && this.#sessions.has(session)) {
      if (this.#policy.sharedGil)
        this.#putBack(chooseLateUnderGil(this.#sessions, this.#policy)?.recall(1) ?? []);
      else this.#stealFor(session);
    }
    this.#tellElsewhere();
    this.#settleIdle();
  }

  /** Resolves when no request waits or runs. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
      this.#settleIdle();
    });
  }

  #choose(job: J): W | null {
    const now = this.#clock.now();
    if (!this.#policy.sharedGil) return chooseWorker(this.#sessions, now, this.#policy);
    // More may be known of it than when it came.
    job.manner = this.#manners.find(job.target);
    return chooseUnderGil(this.#sessions, now, this.#policy, job.manner);
  }

  /** What was queued in the worker because it computes turned out to wait. */
  #mayRunElsewhere({ load, manner }: W): boolean {
    return manner !== null && load > mostHeld(manner, this.#policy);
  }

  #send(session: W, exchange: J): void {
    session.send(exchange);
    if (session.load > this.#policy.concurrency) this.#watchSlowWorkers();
    this.#tellElsewhere();
  }

  #tellElsewhere(): void {
    if (this.#elsewhere !== null) this.#elsewhere.tell(this.#isVacant());
  }

  #isVacant(): boolean {
    return this.#policy.sharedGil
      ? hasVacancyUnderGil(this.#sessions, this.#policy)
      : hasVacancy(this.#sessions, this.#policy);
  }

  /** What comes now will not begin soon, as far as can be told. */
  #isHeldUp(): boolean {
    if (this.#isVacant()) return false;
    const now = this.#clock.now();
    const { concurrency } = this.#policy;
    const inBacklog = this.#backlog.size / this.#sessions.size;
    let areHeldUp = true;
    for (const session of this.#sessions) {
      // A thread is free, and another one has the GIL for long.
      if (session.load < concurrency) return true;
      const ahead = (session.load - concurrency + 1 + inBacklog) / concurrency;
      areHeldUp &&= isSlow(session, now, this.#policy) || isWorthLeaving(session, ahead);
    }
    return areHeldUp;
  }

  #drainBacklog(): void {
    while (this.#backlog.size > 0) {
      let session: W | null = null;
      let refused: Manner | null = null;
      const exchange = this.#backlog.take((one) => {
        // All that are alike are refused with the first, and without a shared GIL all are.
        if (refused !== null && (one.manner === refused || !this.#policy.sharedGil)) return false;
        session = this.#choose(one);
        if (session === null) refused = one.manner;
        return session !== null;
      });
      if (exchange === null || session === null) return;
      this.#send(session, exchange);
    }
  }

  #describeFull(): LidoError {
    const retryAfter = this.#patience.secondsToAnswer(this.waiting, this.#clock.now());
    return new LidoError('LIDO_BACKLOG_FULL', [], { retryAfter });
  }

  /** Only while somebody waits. */
  #lookLater(ms: number | null): void {
    if (ms === null) return;
    this.#clock.after(ms, () => {
      this.#lookLater(this.#patience.look(this.#clock.now()));
      this.#settleIdle();
    });
  }

  #stealFor(idle: W): void {
    let busiest: W | null = null;
    for (const session of this.#sessions) {
      if (session.load > this.#policy.concurrency && (busiest === null || session.load > busiest.load))
        busiest = session;
    }
    if (busiest === null || !isWorthWaking(busiest, this.#policy) || !this.#sessions.has(idle)) return;
    for (const exchange of busiest.recall(countToSteal(busiest, this.#policy))) this.#send(idle, exchange);
  }

  #isSlow(session: W, now: number): boolean {
    return this.#policy.sharedGil
      ? isOverdue(session, now, this.#policy)
      : isSlow(session, now, this.#policy);
  }

  #putBack(exchanges: readonly J[]): void {
    if (exchanges.length === 0) return;
    this.#keepFirst(exchanges);
    this.#drainBacklog();
    this.#watchSlowWorkers();
  }

  /** They have waited already, in the worker that they were recalled from. */
  #keepFirst(exchanges: readonly J[]): void {
    const now = this.#clock.now();
    this.#backlog.putBack(exchanges, now);
    this.#lookLater(this.#patience.begin(now));
  }

  /** Runs only while something is queued behind a running request, or waits for a worker: until then no answer lies there untold. */
  #watchSlowWorkers(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#clock.after(this.#policy.slowMs, () => {
      this.#isWatching = false;
      for (const session of this.#sessions) if (session.load > this.#policy.concurrency) session.look();
      this.#recallFromSlowWorkers();
    });
  }

  #recallFromSlowWorkers(): void {
    const now = this.#clock.now();
    const recalled: J[] = [];
    let queued = false;
    const couldGo = !this.#policy.isAlone || this.#elsewhere?.hasRoom === true;
    for (const session of this.#sessions) {
      if (session.load <= this.#policy.concurrency) continue;
      if (this.#isSlow(session, now) && (couldGo || isStuck(session, now)))
        recalled.push(...session.recall(Number.POSITIVE_INFINITY));
      else queued = true;
    }
    if (recalled.length > 0) this.#keepFirst(recalled);
    this.#drainBacklog();
    this.#drainElsewhere();
    if (this.#policy.sharedGil && (queued || this.#backlog.size > 0))
      this.#probe.look(this.#sessions, () => this.#drainBacklog());
    // Under a shared GIL a waiting request opens another worker once the hot one turns out slow; and other processes may have room.
    const isWatched = this.#policy.sharedGil || this.#elsewhere !== null;
    if (queued || (isWatched && this.#backlog.size > 0)) this.#watchSlowWorkers();
  }

  /** What waits here may begin at once in another process. */
  #drainElsewhere(): void {
    const elsewhere = this.#elsewhere;
    if (elsewhere === null || this.#backlog.size === 0 || !this.#isHeldUp()) return;
    while (this.#backlog.take((job) => elsewhere.take(job)) !== null);
    this.#settleIdle();
  }

  #settleIdle(): void {
    if (this.#idleWaiters.length === 0 || this.#backlog.size > 0 || this.sent > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

/** The dispatcher of a pool of workers. */
export class Dispatcher extends JobDispatcher<Exchange, Session> {}
