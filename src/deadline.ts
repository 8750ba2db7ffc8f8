/** Main thread. Ends requests whose application takes longer than the time-out. */
import type { Dispatcher } from './dispatcher.js';
import { LidoError } from './errors.js';
import type { WorkerPool } from './pool.js';

export interface DeadlineOptions {
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  /** Milliseconds without a sign of the application; 0 for no limit. */
  readonly timeoutMs: number;
  /** Whether a worker's thread may be ended at once; a thread inside Python may not. */
  readonly canKill: boolean;
}

const LONGEST_CHECK_MS = 250;

/** Looks at what runs several times within the time-out. Returns a function that stops it. */
export function watchDeadlines({ dispatcher, pool, timeoutMs, canKill }: DeadlineOptions): () => void {
  if (timeoutMs === 0) return () => {};
  const check = () => {
    const now = performance.now();
    for (const session of [...dispatcher.sessions]) {
      if (session.findOverdue(now, timeoutMs) === null) continue;
      const verdict = new LidoError('LIDO_502', [timeoutMs / 1000]);
      if (canKill) pool.kill(session, verdict);
      else pool.abandon(session, verdict);
    }
  };
  const timer = setInterval(check, Math.min(LONGEST_CHECK_MS, Math.max(10, timeoutMs / 8)));
  timer.unref();
  return () => clearInterval(timer);
}
