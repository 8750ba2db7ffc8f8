/** Main thread. Says of an application that takes long to be loaded where it stands: it may wait for a database that is not there. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../log.js';

/** When it is told first; then after each time twice as long. Milliseconds. */
const FIRST_MS = 5000;
const LONGEST_MS = 10 * 60 * 1000;

/** Where it stands: `stack` is '' where that is not to be known, and `reason` says why, or what it waits for; '' where nobody knows. */
export interface Place {
  readonly stack: string;
  readonly reason: string;
}

/** Resolves and rejects as `loading` does. */
export async function tellWhileSlow<T>(
  loading: Promise<T>,
  spec: string,
  log: Log,
  findPlace: () => Promise<Place>,
): Promise<T> {
  const over = new AbortController();
  void tell(spec, log, findPlace, over.signal);
  try {
    return await loading;
  } finally {
    over.abort();
  }
}

async function tell(
  spec: string,
  log: Log,
  findPlace: () => Promise<Place>,
  over: AbortSignal,
): Promise<void> {
  const began = performance.now();
  for (let pauseMs = FIRST_MS; !over.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_MS)) {
    await pause(pauseMs, undefined, { signal: over, ref: false }).catch(() => {});
    if (over.aborted) return;
    const { stack, reason } = await findPlace();
    const text = `${spec} has been loading for ${Math.round((performance.now() - began) / 1000)} s`;
    if (stack !== '') log.warn({ traceback: stack }, `${text}; it stands here`);
    else log.warn(reason === '' ? text : `${text}: ${reason}`);
  }
}
