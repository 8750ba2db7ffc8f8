/**
 * Main thread of the supervisor. Says of a process in which Node does not begin what may keep it: the system gives it no threads.
 * In the end it ends such a process, for which somebody waits.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT, readCgroupLimits } from '../cgroup.js';
import type { Log } from '../log.js';
import { readResourceLimit } from './resource-limits.js';

/** After each of these it is told once more. What has not begun after all of them, two minutes, will not. Milliseconds. */
const PAUSES_MS = [5, 10, 20, 40, 45].map((seconds) => seconds * 1000);

/** A process that was just begun: one under the supervisor, or a command that is to take this one's place. */
interface Born {
  readonly pid: number;
  /** Lido's own code runs in it. */
  readonly hasBegun: boolean;
  readonly ended: Promise<unknown>;
  /** Ends it. */
  abandon(): void;
}

/** Until it has begun, from where on it tells by itself what takes long, or has ended. */
export async function tellWhileUnbegun(born: Born, log: Log, pausesMs = PAUSES_MS): Promise<void> {
  const over = new AbortController();
  void born.ended.then(() => over.abort());
  const since = performance.now();
  for (const pauseMs of pausesMs) {
    await pause(pauseMs, undefined, { signal: over.signal, ref: false }).catch(() => {});
    if (over.signal.aborted || born.hasBegun) return;
    const seconds = Math.round((performance.now() - since) / 1000);
    log.warn(
      `process ${born.pid} has not come to Lido's code for ${seconds} s: it gets no processor time, or Node.js stands still for want of threads; ${describeThreads(born.pid)}`,
    );
  }
  log.error(`process ${born.pid} is ended: it will not begin any more`);
  born.abandon();
}

/** "it has 5, limited by ulimit -u to 15". What the system does not tell is left out. */
function describeThreads(pid: number): string {
  const most = readResourceLimit('Max processes', pid);
  const group = { controller: 'pids', file: 'pids.max', oldFiles: ['pids.max'] };
  const inGroup = readCgroupLimits(group, ROOT).filter((limit) => limit !== 'max');
  const limits = [
    ...(most === null ? [] : [`${most} for its user (ulimit -u)`]),
    ...inGroup.map((limit) => `${limit} for its control group (pids.max)`),
  ];
  const bounds = limits.length === 0 ? 'the system tells of no limit' : `the limit is ${limits.join(', ')}`;
  return `it has ${countThreads(pid)}, and ${bounds}`;
}

function countThreads(pid: number): string {
  try {
    return String(readdirSync(`/proc/${pid}/task`).length);
  } catch {
    return 'an unknown number';
  }
}
