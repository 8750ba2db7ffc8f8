/** Main thread. The only file that imports Piscina: the threads in which workers run. One task is one session. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { explainThread } from '../contract/errors.js';
import type { ApplicationSpec, SessionStart } from '../contract/protocol.js';

const WORKER_FILE = fileURLToPath(new URL('../../workers/bundled/main.cjs', import.meta.url));

/** Threads beside the regular ones: a worker that is stuck in C is left alone while another takes its place. */
export const SPARE_THREADS = 16;
/** A thread whose worker was ended may get another for so long. Milliseconds. */
const IDLE_THREAD_MS = 1000;

/** Threads that wait for sessions. */
export type Threads = Piscina<SessionStart, void>;

/**
 * What V8 may take in a thread for JavaScript's short-lived objects, of which a thread that runs Python makes next to none: by
 * itself V8 keeps several megabytes of them for each. MB.
 */
const PYTHON_YOUNG_MB = 1;

/** Starts a thread, which takes as long as to load what it is to run; others start when there is something for them. Throws LIDO_NO_THREADS. */
export function startThreads(
  { count, most }: { readonly count: number; readonly most: number },
  runtime: ApplicationSpec['runtime'],
): Threads {
  try {
    // Each default that matters is stated: Piscina's own depend on the number of cores.
    return new Piscina<SessionStart, void>({
      filename: WORKER_FILE,
      minThreads: 1,
      maxThreads: most + SPARE_THREADS,
      maxQueue: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: 1,
      idleTimeout: count < most ? IDLE_THREAD_MS : Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
      ...(runtime === 'cpython' && { resourceLimits: { maxYoungGenerationSizeMb: PYTHON_YOUNG_MB } }),
    });
  } catch (error) {
    throw explainThread(error);
  }
}
