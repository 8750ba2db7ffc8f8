/** Main thread. Adds up what several processes, or several lives of one, count. Pure. */
import { combine, NO_HISTOGRAM } from './histogram.js';
import type { TrafficData } from './snapshot.js';

/** Of slow requests, errors and restarts each: what fits a page. */
const MAX_KEPT = 20;

/** What happened with both. Of single requests only so many are kept as there is use for. */
export function addTraffics(one: TrafficData, other: TrafficData): TrafficData {
  return {
    requests: addCounts(one.requests, other.requests),
    failures: addCounts(one.failures, other.failures),
    restarts: addCounts(one.restarts, other.restarts),
    scalings: addCounts(one.scalings, other.scalings),
    duration: combine(one.duration, other.duration),
    wait: combine(one.wait, other.wait),
    bytesSent: one.bytesSent + other.bytesSent,
    bytesReceived: one.bytesReceived + other.bytesReceived,
    slowest: [...one.slowest, ...other.slowest]
      .sort((a, b) => b.durationMs - a.durationMs)
      .slice(0, MAX_KEPT),
    errors: takeLatest(one.errors, other.errors),
    lastRestarts: takeLatest(one.lastRestarts, other.lastRestarts),
  };
}

export const NO_TRAFFIC: TrafficData = {
  requests: {},
  failures: {},
  restarts: {},
  scalings: {},
  duration: NO_HISTOGRAM,
  wait: NO_HISTOGRAM,
  bytesSent: 0,
  bytesReceived: 0,
  slowest: [],
  errors: [],
  lastRestarts: [],
};

type Counts = Readonly<Record<string, number>>;

function addCounts(one: Counts, other: Counts): Counts {
  const sum: Record<string, number> = { ...one };
  for (const [key, count] of Object.entries(other)) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}

/** The latest first. */
function takeLatest<T extends { readonly at: number }>(one: readonly T[], other: readonly T[]): T[] {
  return [...one, ...other].sort((a, b) => b.at - a.at).slice(0, MAX_KEPT);
}
