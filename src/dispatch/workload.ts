/** Main thread. How much a pool's workers hold, for those who refuse, scale or tell. Pure: time comes in from outside. */
import { computes, type GilWorkerView } from './gil-policy.js';
import type { DispatchPolicy, WorkerView } from './policy.js';

/** Requests that workers hold, running or queued. */
export function countHeld(workers: Iterable<WorkerView>): number {
  let held = 0;
  for (const { load } of workers) held += load;
  return held;
}

/** Those of them that wait behind others. */
export function countQueued(workers: Iterable<WorkerView>, { concurrency }: DispatchPolicy): number {
  let queued = 0;
  for (const { load } of workers) queued += Math.max(0, load - concurrency);
  return queued;
}

/** Workers that can begin no further request now. */
export function countFull(workers: Iterable<WorkerView>, { concurrency }: DispatchPolicy): number {
  let full = 0;
  for (const { load } of workers) if (load >= concurrency) full += 1;
  return full;
}

/** How long the last request that lies in a worker behind others waits for it, about; behind one that computes under a shared GIL it waits for that. Milliseconds. */
export function findLongestWait(
  workers: Iterable<GilWorkerView>,
  now: number,
  { concurrency, sharedGil }: DispatchPolicy,
): number {
  let longest = 0;
  for (const { load, serviceMs, busySince, manner } of workers) {
    const queued = load - concurrency;
    const waitsForGil = sharedGil && manner !== null && computes(manner);
    if (queued > 0 && !waitsForGil) longest = Math.max(longest, queued * serviceMs, now - busySince);
  }
  return longest;
}
