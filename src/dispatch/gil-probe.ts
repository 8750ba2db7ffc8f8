/**
 * Main thread. Whether requests that compute hold the GIL meanwhile: a worker that has nothing to do asks for it beside them.
 *
 * A thread's clock says that it computes, and not whether it has given up the GIL for that, as hashes, compression and
 * numpy do. But where one computes and another has the GIL at once, again and again, it is free.
 */
import type { Manner, Manners } from './manners.js';
import { isBetterIdle, type WorkerView } from './policy.js';

/** What it needs of a request. */
interface ProbedJob {
  readonly target: string;
  readonly manner: Manner;
}

/** What it needs of a worker. */
export interface ProbedWorker<J> extends WorkerView {
  /** The request that it has claimed and not answered; null where there is none. */
  readonly running: J | null;
  /** Wakes it, for it to find out whether the GIL is free. */
  askForGil(): void;
  /** It has found it free, since it was asked last. */
  readonly foundGilFree: boolean;
}

interface Clock {
  now(): number;
  after(ms: number, callback: () => void): void;
}

/** What computes for most of its time, with the GIL or without. */
const MOSTLY = 2 / 3;
/** A request that began to run just now may not have the GIL yet. Milliseconds. */
const SETTLED_MS = 1;
/** So long a thread has for waking up and finding a GIL free. Milliseconds. */
const LOOK_MS = 2;
/** What computes for less is usually over before that: what goes on by chance says nothing of the rest. Milliseconds. */
const SHORTEST_MS = SETTLED_MS + LOOK_MS;
/** From one question to the next, in milliseconds: each takes the GIL from what holds it for a moment, which costs about 0.1. */
const REST_MS = 50;
const REST_AFTER_FREE_MS = 20;
/** Where all workers are busy, nobody can be asked: what is known is doubted after so long. Milliseconds. */
const DOUBT_MS = 500;

export class GilProbe<J extends ProbedJob, W extends ProbedWorker<J>> {
  readonly #clock: Clock;
  readonly #manners: Manners;
  #isAsking = false;
  #restsUntil = 0;
  #askedAt = 0;

  constructor(clock: Clock, manners: Manners) {
    this.#clock = clock;
    this.#manners = manners;
  }

  /** Asks, where there is somebody to ask beside what computes. Called while requests wait for that; `onFree` says that they need not. */
  look(workers: Iterable<W>, onFree: () => void): void {
    const now = this.#clock.now();
    if (this.#isAsking || now < this.#restsUntil) return;
    const computing = new Map<W, J>();
    let idle: W | null = null;
    for (const worker of workers) {
      const { running } = worker;
      if (worker.load === 0) idle = idle === null || isBetterIdle(worker, idle) ? worker : idle;
      else if (running !== null && isComputing(running.manner) && now - worker.busySince >= SETTLED_MS)
        computing.set(worker, running);
    }
    if (computing.size === 0) return;
    if (idle === null) {
      if (now - this.#askedAt >= DOUBT_MS) this.#learn([...computing.values()], true, now);
      return;
    }
    const asked = idle;
    asked.askForGil();
    this.#isAsking = true;
    this.#clock.after(LOOK_MS, () => this.#conclude(asked.foundGilFree, computing, onFree));
  }

  #conclude(isFree: boolean, computing: ReadonlyMap<W, J>, onFree: () => void): void {
    this.#isAsking = false;
    const now = this.#clock.now();
    this.#restsUntil = now + (isFree ? REST_AFTER_FREE_MS : REST_MS);
    // One that has been answered meanwhile may have given the GIL up for that.
    const still = [...computing].filter(([worker, job]) => worker.running === job).map(([, job]) => job);
    // One of several holds it, and nobody knows which; unless they are alike.
    if (!isFree && still.some(({ manner }) => manner !== still[0]?.manner)) return;
    this.#learn(still, !isFree, now);
    if (isFree && still.length > 0) onFree();
  }

  #learn(jobs: readonly J[], isHeld: boolean, now: number): void {
    this.#askedAt = now;
    for (const target of new Set(jobs.map((job) => job.target))) this.#manners.learnHeld(target, isHeld);
  }
}

function isComputing({ share, native, computeMs }: Manner): boolean {
  return share + native > MOSTLY && computeMs >= SHORTEST_MS;
}
