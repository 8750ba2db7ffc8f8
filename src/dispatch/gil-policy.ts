/**
 * Main thread. Which worker gets a request where all share one GIL. Pure: time comes in from outside.
 *
 * Two threads that compute under one GIL are slower than one, and threads that wait cost nothing. So about one request
 * that computes is to be open at any time: as many as wait are opened at once, those that compute one after the other,
 * and of those that do both so many that one computes while the others wait. Those that compute without the GIL are opened
 * on as many threads as there are cores.
 */
import type { Manner } from './manners.js';
import { type DispatchPolicy, isBetterIdle, type WorkerView } from './policy.js';

/** What the policy sees of a worker. */
export interface GilWorkerView extends WorkerView {
  /** What is known of the request that it runs; null while idle. */
  readonly manner: Manner | null;
}

/**
 * How much of the GIL an open request is counted for: 1 for one that computes, little for one that waits.
 *
 * A request that wants the GIL for a share s of its time waits (1 - s) / s times as long as it computes. With 1 + twice
 * that number of them open one computes at nearly any time; with 1 + that number (as in Goetz, Java Concurrency in
 * Practice, 8.2) one would if they took turns like clockwork.
 */
export function weigh({ share }: Manner): number {
  return share / (2 - share);
}

/** So much of a request's weight must be free: a heavy one would otherwise not go beside one that hardly weighs anything. */
const WANTED_ROOM = 0.75;

/**
 * The worker that gets the next request, or null when it is better off in the backlog.
 *
 * The open ones count at most as much as the request would itself. So a heavy one is opened beside any number of light
 * ones, and a light one is not kept out by a heavy one: it hardly wants the GIL.
 */
export function chooseUnderGil<W extends GilWorkerView>(
  workers: Iterable<W>,
  now: number,
  policy: DispatchPolicy,
  manner: Manner,
): W | null {
  const weight = weigh(manner);
  let company: Company | null = null;
  // Told only where it matters: it is asked for each request, of as many workers as there are.
  const findCompany = () => (company ??= count(workers));
  let open = 0;
  let native = 0;
  let idle: W | null = null;
  let hot: W | null = null;
  let next: W | null = null;
  for (const worker of workers) {
    if (worker.manner !== null && isNative(worker.manner)) native += 1;
    if (worker.manner === null) {
      if (idle === null || isBetterIdle(worker, idle)) idle = worker;
    } else if (!isTooLong(worker.manner, now - worker.busySince, manner, policy, findCompany)) {
      open += Math.min(weight, weigh(worker.manner));
      // Where two compute, the one with less to do gets nothing more, and is soon idle.
      if (
        isQuickComputer(worker.manner, policy) &&
        worker.load < mostHeld(worker.manner, policy) &&
        worker.load > (hot?.load ?? 0)
      )
        hot = worker;
    }
    if (isSoonFree(worker, now, policy) && (next === null || freeFrom(worker) < freeFrom(next)))
      next = worker;
  }
  if (isNative(manner) && native >= policy.cores) idle = null;
  if (idle !== null && (open === 0 || open + WANTED_ROOM * weight <= 1)) return idle;
  // Behind one that computes it costs no round trip, and nobody waits longer for that.
  if (computes(manner)) return isQuickComputer(manner, policy) ? hot : null;
  // One that waits may lie behind one that waits, too, where it is the next: that thread need not sleep in between.
  return next;
}

/** As hasVacancy() of policy.ts: what is known to compute for long has the GIL, whatever other threads have to do. */
export function hasVacancyUnderGil(workers: Iterable<GilWorkerView>, policy: DispatchPolicy): boolean {
  let isVacant = false;
  for (const { load, manner } of workers) {
    if (manner !== null && computes(manner) && manner.computeMs >= policy.slowMs) return false;
    if (load < policy.concurrency) isVacant = true;
  }
  return isVacant;
}

/**
 * A request does not wait for one that usually takes much longer than it does itself, nor for one that takes longer than it
 * usually does: that waits for something this time. Those that compute take as much longer as there are of them, and those
 * that do both at most by what all others compute: were they not counted any more, the more would be opened the longer they take.
 */
function isTooLong(
  running: Manner,
  runsMs: number,
  waiting: Manner,
  { slowMs }: DispatchPolicy,
  findCompany: () => Company,
): boolean {
  if (running.computeMs > 2 * Math.max(slowMs, waiting.computeMs)) return true;
  if (runsMs < slowMs) return false;
  const { computing, open } = findCompany();
  const usualMs = computes(running)
    ? 1.5 * running.computeMs * computing
    : 2 * (takes(running) + running.computeMs * open);
  return runsMs >= usualMs;
}

/** Who runs beside a request. */
interface Company {
  readonly computing: number;
  readonly open: number;
}

function count(workers: Iterable<GilWorkerView>): Company {
  let computing = 0;
  let open = 0;
  for (const { manner } of workers) {
    if (manner === null) continue;
    open += 1;
    if (computes(manner)) computing += 1;
  }
  return { computing, open };
}

/** It wants the GIL for most of its time. */
export function computes(manner: Manner): boolean {
  return weigh(manner) > 1 / 2;
}

/** It computes for most of its time, and not always with the GIL. */
function isNative({ share, native }: Manner): boolean {
  return native > 0.1 && share + native > 1 / 2;
}

/** Requests that a worker may hold: many that are quick and compute, of others the one that runs and the next. */
export function mostHeld(running: Manner, policy: DispatchPolicy): number {
  return policy.concurrency + (isQuickComputer(running, policy) ? policy.prefetch : 1);
}

/** What it runs takes longer than it used to: what is queued behind it should go elsewhere. */
export function isOverdue(worker: GilWorkerView, now: number, { slowMs }: DispatchPolicy): boolean {
  if (worker.manner === null) return false;
  return now - worker.busySince >= Math.max(slowMs, computes(worker.manner) ? 0 : 2 * takes(worker.manner));
}

/** The worker whose next request should go to one that has fallen idle: it waits longest. Those behind a computing one stay. */
export function chooseLateUnderGil<W extends GilWorkerView>(
  workers: Iterable<W>,
  { concurrency }: DispatchPolicy,
): W | null {
  let late: W | null = null;
  for (const worker of workers) {
    if (worker.load <= concurrency || worker.manner === null || computes(worker.manner)) continue;
    if (late === null || freeFrom(worker) > freeFrom(late)) late = worker;
  }
  return late;
}

function isSoonFree(worker: GilWorkerView, now: number, policy: DispatchPolicy): boolean {
  if (worker.manner === null || computes(worker.manner)) return false;
  return worker.load === policy.concurrency && !isOverdue(worker, now, policy);
}

/** When it will have answered what it runs, by what is known of that. */
function freeFrom({ busySince, manner }: GilWorkerView): number {
  return busySince + (manner === null ? 0 : takes(manner));
}

function takes({ share, native, computeMs }: Manner): number {
  return computeMs / Math.max(share + native, 0.001);
}

/** It may lie in a worker behind another: whoever waits for the GIL anyway waits there without a round trip. */
export function isQuickComputer(manner: Manner, { slowMs }: DispatchPolicy): boolean {
  return computes(manner) && manner.computeMs < slowMs;
}
