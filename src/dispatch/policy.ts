/** Main thread. Which worker gets a request, and which requests are taken back. Pure: time comes in from outside. */

/** What the policy sees of a worker. */
export interface WorkerView {
  /** Requests that it holds: running and queued. */
  readonly load: number;
  /** Since when its running request has been running, in milliseconds; 0 while idle. */
  readonly busySince: number;
  /** When it last finished a request, in milliseconds. */
  readonly lastUsed: number;
  /** How long its requests take on average, in milliseconds. */
  readonly serviceMs: number;
}

export interface DispatchPolicy {
  /** Requests that may run at once in one worker. */
  readonly concurrency: number;
  /** Requests that may be queued in a worker behind the running ones, so that it never idles for a round trip. */
  readonly prefetch: number;
  /** There is never more than one worker. */
  readonly isAlone: boolean;
  /** Workers share one GIL: gil-policy.ts chooses in place of chooseWorker(). */
  readonly sharedGil: boolean;
  /** Under a shared GIL: how many requests may compute at once without it. */
  readonly cores: number;
  /** From here on a running request counts as slow, in milliseconds. */
  readonly slowMs: number;
  /**
   * Work that may wait in a worker before another one is woken for it, in milliseconds: waking a thread costs more than
   * that, and its processor may be needed elsewhere.
   */
  readonly worthWakingMs: number;
}

/** The worker that gets the next request, or null when it is better off in the backlog. */
export function chooseWorker<W extends WorkerView>(
  workers: Iterable<W>,
  now: number,
  policy: DispatchPolicy,
): W | null {
  let idle: W | null = null;
  let hot: W | null = null;
  let queueable: W | null = null;
  for (const worker of workers) {
    if (worker.load < policy.concurrency) {
      if (idle === null || isBetterIdle(worker, idle)) idle = worker;
    } else if (worker.load < policy.concurrency + policy.prefetch && !isSlow(worker, now, policy)) {
      if (queueable === null || worker.load < queueable.load) queueable = worker;
      if (!isWorthWaking(worker, policy)) hot = worker;
    }
  }
  return hot ?? idle ?? queueable;
}

/** What a worker holds takes so long that another one should be woken for the next request. */
export function isWorthWaking(worker: WorkerView, policy: DispatchPolicy): boolean {
  return worker.load * worker.serviceMs >= policy.worthWakingMs;
}

/** A running request that has gone on for long: what is queued behind it should go elsewhere. */
export function isSlow(worker: WorkerView, now: number, policy: DispatchPolicy): boolean {
  return worker.busySince > 0 && now - worker.busySince >= policy.slowMs;
}

/**
 * So long a request waits where it came rather than leave with its connection for a process that is idle: to move it takes the
 * three processes about a millisecond. Milliseconds.
 */
const WORTH_LEAVING_MS = 10;

/** What comes now waits for so long behind `ahead` requests that each take what requests took so far. */
export function isWorthLeaving({ serviceMs }: WorkerView, ahead: number): boolean {
  return ahead * serviceMs >= WORTH_LEAVING_MS;
}

/** What is queued behind a request that has gone on for so long waits for a worker, and is refused where that takes too long: see isStuck(). Milliseconds. */
const STUCK_MS = 50;

/**
 * What is queued should not stay there even though nobody else could begin it. Before that it does: to take all of it back and
 * send it once more costs some microseconds for each request, behind each page that takes a little longer.
 */
export function isStuck(worker: WorkerView, now: number): boolean {
  return worker.busySince > 0 && now - worker.busySince >= STUCK_MS;
}

/** A worker has nothing to do, or room for one more at once: a request that comes begins without waiting. */
export function hasVacancy(workers: Iterable<WorkerView>, { concurrency }: DispatchPolicy): boolean {
  for (const { load } of workers) if (load < concurrency) return true;
  return false;
}

/** How many queued requests an idle worker takes over from a busy one: half, so that both stay busy. */
export function countToSteal(worker: WorkerView, policy: DispatchPolicy): number {
  return Math.ceil(Math.max(0, worker.load - policy.concurrency) / 2);
}

/** An empty worker before one that runs something; among equals the most recently used, whose caches are warm. */
export function isBetterIdle(worker: WorkerView, best: WorkerView): boolean {
  if (worker.load !== best.load) return worker.load < best.load;
  return worker.lastUsed > best.lastUsed;
}
