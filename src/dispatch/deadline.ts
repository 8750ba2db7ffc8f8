/** Main thread. Ends requests whose application takes longer than the time-out. */
import { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { PythonHost } from '../python/host.js';
import type { Dispatcher } from './dispatcher.js';
import type { Exchange } from './exchange.js';
import { INTERRUPT_GRACE_MS, interruptUntilOver, logPlace } from './interrupt.js';
import { checkLoop } from './loop-deadline.js';
import type { WorkerPool } from './pool.js';
import type { Session } from './session.js';
import { findStuckStack } from './stuck-stack.js';

export interface DeadlineOptions {
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  /** Milliseconds without a sign of the application; 0 for no limit. */
  readonly timeoutMs: number;
  /** Where the application is Python's: a thread inside Python is interrupted, never ended. */
  readonly host: PythonHost | null;
  readonly log: Log;
}

const LONGEST_CHECK_MS = 250;

/** Looks at what runs several times within the time-out. Returns a function that stops it. */
export function watchDeadlines(options: DeadlineOptions): () => void {
  const { dispatcher, timeoutMs } = options;
  if (timeoutMs === 0) return () => {};
  const interrupted = new WeakSet<Exchange>();
  const check = () => {
    const now = performance.now();
    for (const session of [...dispatcher.sessions]) {
      if (session.loop !== null) {
        checkLoop(options, session, session.loop, now);
        continue;
      }
      const exchange = session.findOverdue(now, timeoutMs);
      if (exchange === null || interrupted.has(exchange)) continue;
      interrupted.add(exchange);
      endRequest(options, session, exchange);
    }
  };
  const timer = setInterval(check, Math.min(LONGEST_CHECK_MS, Math.max(10, timeoutMs / 8)));
  timer.unref();
  return () => clearInterval(timer);
}

function endRequest(options: DeadlineOptions, session: Session, exchange: Exchange): void {
  const { pool, host, timeoutMs } = options;
  const verdict = new LidoError('LIDO_TIMED_OUT', [timeoutMs / 1000]);
  if (host === null) {
    void endThread(pool, session, exchange, verdict);
    return;
  }
  void interruptUntilOver(host, session, exchange.id, timeoutMs, exchange, verdict);
  setTimeout(() => {
    if (exchange.holder !== session) return;
    // Its thread is left alone: it ends when the application comes back to Lido.
    session.close();
    pool.abandon(session, verdict);
  }, INTERRUPT_GRACE_MS);
}

/** The client is answered and another worker takes over before anybody looks where this one stands. */
async function endThread(
  pool: WorkerPool,
  session: Session,
  exchange: Exchange,
  verdict: LidoError,
): Promise<void> {
  const thread = pool.findThread(session);
  pool.abandon(session, verdict);
  const { stack, reason } = await findStuckStack(thread);
  pool.endThread(session);
  // An asynchronous application may run several requests in one thread, and any of them may be the one that stands there.
  if (stack !== '') logPlace(exchange, verdict, 'its thread stood here', stack);
  else logPlace(exchange, verdict, `where it stood is not known: ${reason}`);
}
