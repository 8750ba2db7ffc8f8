/** Main thread. Looks again and again whether an application has too few threads, or too many, and starts or ends some. */
import { type Load, ScalingPolicy, type ThreadLimits } from './scaling.js';

export interface ScalerOptions {
  readonly limits: ThreadLimits;
  readonly dispatcher: ScaledDispatcher;
  readonly pool: ScaledPool;
  readonly isSaturated: () => boolean;
  /** Told of each change: threads that are started, or ended where it is negative, and why, for people. */
  readonly scaled: (change: number, why: string) => void;
}

/** What is needed of the dispatcher. */
interface ScaledDispatcher {
  readonly sessions: { readonly size: number };
  /** Workers that can take no further request now. */
  readonly full: number;
  /** Requests that wait, and how long about. */
  readonly waiting: number;
  readonly longestWaitMs: number;
}

/** What is needed of the pool. */
interface ScaledPool {
  readonly starting: number;
  grow(count: number): void;
  /** Ends at most so many workers that have nothing to do; returns how many. */
  shrink(count: number): number;
}

/** Within the wait that is worth a thread. Milliseconds. */
export const LOOK_EACH_MS = 25;

export class ThreadScaler {
  readonly #options: ScalerOptions;
  readonly #policy: ScalingPolicy;

  /** `now`: performance.now(). */
  constructor(options: ScalerOptions, now: number) {
    this.#options = options;
    this.#policy = new ScalingPolicy(options.limits, now);
  }

  /** To be called each LOOK_EACH_MS. */
  look(now: number): void {
    const { pool, scaled } = this.#options;
    const load = this.#read();
    const change = this.#policy.decide(load, now);
    if (change > 0) {
      pool.grow(change);
      scaled(change, `a request has waited for ${Math.round(load.waitMs)} ms`);
    } else if (change < 0) {
      const ended = pool.shrink(-change);
      if (ended > 0) scaled(-ended, 'fewer were in use for a while');
    }
  }

  #read(): Load {
    const { dispatcher, pool, isSaturated } = this.#options;
    const { full, waiting, longestWaitMs: waitMs } = dispatcher;
    const { starting } = pool;
    const threads = dispatcher.sessions.size + starting;
    // Asked only where it matters, for it is a call of the system.
    return { threads, starting, full, waiting, waitMs, isSaturated: waitMs > 0 && isSaturated() };
  }
}
