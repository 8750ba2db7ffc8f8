// The real dispatcher on simulated time: workers that compute and wait, side by side or under one GIL.
import type { LidoError } from '../../../dist/src/contract/errors.js';
import { JobDispatcher } from '../../../dist/src/dispatch/dispatcher.js';
import type { Elsewhere } from '../../../dist/src/dispatch/elsewhere.js';
import type { Clock, DispatchWorker, Job } from '../../../dist/src/dispatch/job.js';
import type { Manner } from '../../../dist/src/dispatch/manners.js';
import type { DispatchPolicy } from '../../../dist/src/dispatch/policy.js';

/** The simulation's step; all times are multiples of it. */
const STEP_MS = 0.25;
/** After so long a thread that computes lets others have the GIL, as CPython does by default. */
const SWITCH_MS = 5;

export const PARALLEL: DispatchPolicy = {
  concurrency: 1,
  prefetch: 64,
  sharedGil: false,
  cores: 2,
  slowMs: 5,
  worthWakingMs: 0.25,
  isAlone: false,
};
export const GIL: DispatchPolicy = { ...PARALLEL, sharedGil: true };

/**
 * What a request does, in this order: it computes for a positive number of milliseconds, waits for a negative one, and computes
 * without the GIL, on a core of its own, for what stands in braces.
 */
export type Doing = readonly (number | { readonly native: number })[];

export class SimulatedJob implements Job<SimulatedJob> {
  readonly target: string;
  readonly arrivesMs: number;
  readonly #doing: { kind: 'computes' | 'waits' | 'native'; ms: number }[];
  manner: Manner = { share: 1, native: 0, computeMs: 0 };
  state: Job<SimulatedJob>['state'] = 'receiving';
  holder: SimulatedWorker | null = null;
  startedMs = Number.POSITIVE_INFINITY;
  finishedMs = Number.POSITIVE_INFINITY;
  error: LidoError | null = null;
  waitingSince = 0;
  computedMs = 0;
  waitedMs = 0;

  constructor(target: string, doing: Doing, arrivesMs = 0) {
    this.target = target;
    this.#doing = doing.map((step) => {
      if (typeof step !== 'number') return { kind: 'native', ms: step.native };
      return { kind: step > 0 ? 'computes' : 'waits', ms: Math.abs(step) };
    });
    this.arrivesMs = arrivesMs;
  }

  get latencyMs(): number {
    return this.finishedMs - this.arrivesMs;
  }

  get isOver(): boolean {
    return this.#doing.length === 0;
  }

  get wantsToCompute(): boolean {
    return this.#doing[0]?.kind === 'computes';
  }

  wait(): void {
    this.state = 'waiting';
  }

  drop(): void {
    this.state = 'over';
  }

  refuse(error: LidoError): void {
    this.finish(error);
  }

  finish(error: LidoError | null): void {
    this.state = 'over';
    this.error = error;
  }

  /** One step of what it does; one that computes has the GIL. */
  advance(): void {
    const step = this.#doing[0];
    if (step === undefined) return;
    if (step.kind === 'waits') this.waitedMs += STEP_MS;
    else this.computedMs += STEP_MS;
    step.ms -= STEP_MS;
    if (step.ms === 0) this.#doing.shift();
  }
}

export class SimulatedWorker implements DispatchWorker<SimulatedJob> {
  readonly #simulation: Simulation;
  readonly queue: SimulatedJob[] = [];
  busySince = 0;
  lastUsed = 0;
  serviceMs = 1;
  /** How long it has had the GIL without a pause. */
  holdsMs = 0;
  served = 0;
  foundGilFree = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  get load(): number {
    return this.queue.length;
  }

  get manner(): Manner | null {
    return this.queue[0]?.manner ?? null;
  }

  get running(): SimulatedJob | null {
    return this.queue[0] ?? null;
  }

  askForGil(): void {
    this.foundGilFree = this.#simulation.isGilFree;
  }

  send(job: SimulatedJob): void {
    if (this.queue.length === 0) this.busySince = this.#simulation.nowMs;
    job.state = 'sent';
    job.holder = this;
    this.queue.push(job);
  }

  recall(most: number): SimulatedJob[] {
    const recalled = this.queue.splice(1, most);
    for (const job of recalled) job.state = 'waiting';
    return recalled;
  }

  look(): void {}

  lose(error: LidoError): SimulatedJob[] {
    const survivors = this.recall(Number.POSITIVE_INFINITY);
    for (const job of this.queue.splice(0)) job.finish(error);
    return survivors;
  }

  giveUp(job: SimulatedJob): void {
    if (job === this.running) return;
    this.queue.splice(this.queue.indexOf(job), 1);
    job.finish(null);
  }

  /** One step of what it runs; `hasGil` says whether it may compute. */
  step(hasGil: boolean): void {
    const job = this.running;
    if (job === null) return;
    job.startedMs = Math.min(job.startedMs, this.#simulation.nowMs);
    if (job.wantsToCompute && !hasGil) return;
    if (job.wantsToCompute) this.holdsMs += STEP_MS;
    job.advance();
    if (!job.isOver) return;
    this.queue.shift();
    this.served += 1;
    this.serviceMs += (job.computedMs + job.waitedMs - this.serviceMs) / 128;
    this.#simulation.finish(this, job);
  }
}

/** Runs jobs on so many workers through the dispatcher. */
export class Simulation implements Clock {
  nowMs = 1;
  readonly dispatcher: JobDispatcher<SimulatedJob, SimulatedWorker>;
  readonly workers: SimulatedWorker[];
  /** Steps in which a request ran, and those of them in which one computed. */
  busySteps = 0;
  computingSteps = 0;
  mostOpen = 0;
  readonly #sharedGil: boolean;
  #timers: { at: number; callback: () => void }[] = [];
  #gil: SimulatedWorker | null = null;
  /** Called when a request is over: a client that asks again. */
  onFinish: (job: SimulatedJob) => void = () => {};

  constructor(
    count: number,
    policy: DispatchPolicy,
    backlog = 10_000,
    backlogTimeoutMs = 0,
    elsewhere: Elsewhere<SimulatedJob> | null = null,
  ) {
    this.#sharedGil = policy.sharedGil;
    this.dispatcher = new JobDispatcher({ policy, backlog, backlogTimeoutMs, elsewhere, clock: this });
    this.workers = Array.from({ length: count }, () => new SimulatedWorker(this));
    for (const worker of this.workers) this.dispatcher.addSession(worker);
  }

  /** One worker more, from now on. */
  addWorker(): void {
    const worker = new SimulatedWorker(this);
    this.workers.push(worker);
    this.dispatcher.addSession(worker);
  }

  /** Ends a worker that has nothing to do; false where there is none. */
  removeIdle(): boolean {
    const worker = this.workers.find(({ load }) => load === 0);
    if (worker === undefined) return false;
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.dispatcher.retireSession(worker);
    return true;
  }

  now(): number {
    return this.nowMs;
  }

  after(ms: number, callback: () => void): void {
    this.#timers.push({ at: this.nowMs + ms, callback });
  }

  /** Workers that hold a request. */
  get open(): number {
    return this.workers.filter(({ load }) => load > 0).length;
  }

  /** No request wants it. */
  get isGilFree(): boolean {
    return !this.workers.some(({ running }) => running?.wantsToCompute);
  }

  /** Requests with this target that run. */
  countOpen(target: string): number {
    return this.workers.filter(({ running }) => running?.target === target).length;
  }

  /** Sends a request now. */
  ask(target: string, doing: Doing): SimulatedJob {
    const job = new SimulatedJob(target, doing, this.nowMs);
    this.dispatcher.dispatch(job);
    return job;
  }

  /** Clients that ask again as soon as they are answered, in turn for each of these. Gives the jobs that are over. */
  keepAsking(clients: number, kinds: readonly (readonly [target: string, doing: Doing])[]): SimulatedJob[] {
    const over: SimulatedJob[] = [];
    let asked = 0;
    const askNext = () => {
      const [target, doing] = kinds[asked % kinds.length] as (typeof kinds)[number];
      asked += 1;
      this.ask(target, doing);
    };
    this.onFinish = (job) => {
      over.push(job);
      askNext();
    };
    for (let client = 0; client < clients; client += 1) askNext();
    return over;
  }

  /** Sends each when it arrives, and runs until all are answered. */
  runAll(jobs: readonly SimulatedJob[]): void {
    const arrivals = [...jobs].sort((one, other) => one.arrivesMs - other.arrivesMs);
    while (jobs.some(({ state }) => state !== 'over')) {
      if (this.nowMs > 100_000) throw new Error('the jobs are never done');
      while (arrivals[0] !== undefined && arrivals[0].arrivesMs <= this.nowMs)
        this.dispatcher.dispatch(arrivals.shift() as SimulatedJob);
      this.run(STEP_MS);
    }
  }

  run(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) this.#step();
  }

  finish(worker: SimulatedWorker, job: SimulatedJob): void {
    job.finishedMs = this.nowMs + STEP_MS;
    job.finish(null);
    worker.lastUsed = this.nowMs;
    worker.busySince = worker.load === 0 ? 0 : this.nowMs + STEP_MS;
    this.dispatcher.measured(job, encode(job));
    this.dispatcher.released(worker);
    this.onFinish(job);
  }

  #step(): void {
    const holder = this.#sharedGil ? this.#passGil() : null;
    const running = this.workers.filter(({ load }) => load > 0);
    this.mostOpen = Math.max(this.mostOpen, running.length);
    if (running.length > 0) this.busySteps += 1;
    if (running.some(({ running: job }) => job?.wantsToCompute)) this.computingSteps += 1;
    for (const worker of running) worker.step(!this.#sharedGil || worker === holder);
    this.nowMs += STEP_MS;
    const due = this.#timers.filter(({ at }) => at <= this.nowMs);
    this.#timers = this.#timers.filter(({ at }) => at > this.nowMs);
    for (const { callback } of due) callback();
  }

  /** The GIL stays where it is until its holder waits, is done, or has had it for long; then it goes round. */
  #passGil(): SimulatedWorker | null {
    const wants = (worker: SimulatedWorker | null) => worker?.running?.wantsToCompute === true;
    if (wants(this.#gil) && (this.#gil?.holdsMs ?? 0) < SWITCH_MS) return this.#gil;
    const start = this.#gil === null ? 0 : this.workers.indexOf(this.#gil) + 1;
    const round = [...this.workers.slice(start), ...this.workers.slice(0, start)];
    if (this.#gil !== null) this.#gil.holdsMs = 0;
    this.#gil = round.find(wants) ?? null;
    return this.#gil;
  }
}

/** As meter.py tells it. */
function encode({ computedMs, waitedMs }: SimulatedJob): number {
  const share = computedMs / (computedMs + waitedMs);
  return ((Math.round(computedMs * 1000) + 1) << 10) | Math.round(share * 1023);
}
