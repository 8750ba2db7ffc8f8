/** Main thread. Says of an application that takes long to be loaded where it stands: it may wait for a database that is not there. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../log.js';

/** When it is told first; then after each time twice as long. Milliseconds. */
const FIRST_MS = 5000;
const LONGEST_MS = 10 * 60 * 1000;

/** Resolves and rejects as `loading` does. `findStack` finds where it stands, '' where that is not to be known. */
export async function tellWhileSlow<T>(
  loading: Promise<T>,
  spec: string,
  log: Log,
  findStack: () => Promise<string> = async () => '',
): Promise<T> {
  const over = new AbortController();
  void tell(spec, log, findStack, over.signal);
  try {
    return await loading;
  } finally {
    over.abort();
  }
}

async function tell(
  spec: string,
  log: Log,
  findStack: () => Promise<string>,
  over: AbortSignal,
): Promise<void> {
  const began = performance.now();
  for (let pauseMs = FIRST_MS; !over.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_MS)) {
    await pause(pauseMs, undefined, { signal: over, ref: false }).catch(() => {});
    if (over.aborted) return;
    const traceback = await findStack();
    const seconds = Math.round((performance.now() - began) / 1000);
    if (traceback === '') log.warn(`${spec} has been loading for ${seconds} s`);
    else log.warn({ traceback }, `${spec} has been loading for ${seconds} s; it stands here`);
  }
}
