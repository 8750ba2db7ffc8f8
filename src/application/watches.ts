/** Main thread. What looks after an application for as long as it runs: its deadlines, its load, its slow requests, a Python that is stuck. */
import { LidoError } from '../contract/errors.js';
import type { ApplicationSpec } from '../contract/protocol.js';
import { watchDeadlines } from '../dispatch/deadline.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { WorkerPool } from '../dispatch/pool.js';
import { LOOK_EACH_MS, type ScalerOptions, ThreadScaler } from '../dispatch/scaler.js';
import type { ThreadLimits } from '../dispatch/scaling.js';
import type { Log } from '../log.js';
import type { ApplicationObserver } from '../observe/observer.js';
import { watchSlowRequests } from '../observe/slow-requests.js';
import type { PythonHost } from '../python/host.js';
import { formatThreads } from '../python/stack-dump.js';
import type { Settings } from '../settings/resolve.js';
import { findAvailableCores } from './available-cores.js';
import { createSaturationMeter } from './saturation.js';

export interface Watched {
  readonly settings: Settings;
  readonly application: ApplicationSpec;
  readonly threads: ThreadLimits;
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  /** Null where the application is none of Python's. */
  readonly host: PythonHost | null;
  readonly observer: ApplicationObserver | null;
  readonly log: Log;
}

/** Returns what stops it. */
export function watch(watched: Watched): () => void {
  const { settings, application, threads, dispatcher, pool, host, observer, log } = watched;
  const stops = [
    watchDeadlines({ dispatcher, pool, timeoutMs: settings.timeout * 1000, host, log }),
    watchLoad(threads, dispatcher, pool, (change, why) => {
      observer?.traffic.scale(change);
      log.info(`${application.spec}: ${describeScaling(change)}: ${why}`);
    }),
    watchSlowRequests({ dispatcher, pool, limitMs: settings.slowRequest * 1000, host, log }),
    refuseWhileStuck(dispatcher, application, host),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** Does nothing where the number of threads is fixed. Returns what stops it. */
function watchLoad(
  limits: ThreadLimits,
  dispatcher: Dispatcher,
  pool: WorkerPool,
  scaled: ScalerOptions['scaled'],
): () => void {
  if (limits.min === limits.max) return () => {};
  const isSaturated = createSaturationMeter(findAvailableCores());
  const scaler = new ThreadScaler({ limits, dispatcher, pool, isSaturated, scaled }, performance.now());
  const timer = setInterval(() => scaler.look(performance.now()), LOOK_EACH_MS).unref();
  return () => clearInterval(timer);
}

/** "2 threads are started", "one thread is ended" */
function describeScaling(change: number): string {
  const count = Math.abs(change);
  const threads = count === 1 ? 'one thread is' : `${count} threads are`;
  return `${threads} ${change > 0 ? 'started' : 'ended'}`;
}

/** While a thread keeps the GIL that does not come back, nobody waits for it. Each isolated interpreter has its own GIL. */
function refuseWhileStuck(
  dispatcher: Dispatcher,
  application: ApplicationSpec,
  host: PythonHost | null,
): () => void {
  if (host === null || application.runtime !== 'cpython' || application.interpreter === 'isolated')
    return () => {};
  const refuse = (error: LidoError) => {
    if (host.isKeptOut) dispatcher.refuseAll(error);
  };
  host.on('stuck', refuse);
  return () => void host.off('stuck', refuse);
}

/** Python itself goes on, but fewer and fewer of its threads do. */
export async function declareExhausted(host: PythonHost | null, count: number, log: Log): Promise<void> {
  const error = new LidoError('LIDO_PYTHON_STUCK', [`${count} threads are in calls that do not come back`]);
  const { code, message } = error;
  if (host === null) return;
  const { threads } = await host.look(null);
  log.error({ code, traceback: formatThreads(threads) || undefined }, message);
  host.emit('stuck', error);
}
