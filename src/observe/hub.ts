/**
 * Main thread, of the supervisor where there is one. Knows the last that each process told, adds it up, and remembers the
 * last minutes: what metrics, health, the status page and the control commands are answered from.
 */
import { combine, findPercentile, type HistogramData } from './histogram.js';
import type { MetricsSource } from './metrics.js';
import type { AnswerTo, Question } from './questions.js';
import type { ApplicationSnapshot, ProcessSnapshot, RecentRestart, TrafficData } from './snapshot.js';
import { addTraffics, NO_TRAFFIC } from './totals.js';

export interface HubOptions {
  /** Asks every process for what it is at; resolves when `update()` has been called for all that answered. */
  readonly refresh: () => Promise<void>;
  readonly ask: AskAll;
  /** Not ready while a request has waited for a worker for longer; 0 for no limit. Milliseconds. */
  readonly readyWaitMs: number;
}

/** Asks every process, for which its key stands; those that do not answer in time are missing. Never rejects. */
export type AskAll = <Q extends Question>(question: Q) => Promise<ReadonlyMap<unknown, AnswerTo<Q>>>;

export interface Readiness {
  readonly isReady: boolean;
  /** Why not, by process; what keeps one from being ready need not keep the server. */
  readonly reasons: readonly string[];
}

/** One second of the last minutes. */
export interface Moment {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  /** Of the last ten seconds; null where there was no request. Milliseconds. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  /** What share of its time a request waited for a worker, of the last ten seconds; 0 to 1. */
  readonly waitShare: number;
  readonly waiting: number;
  readonly busy: number;
  readonly workers: number;
}

/** What came of its requests is in the sum of all. */
export type NumberedProcess = Omit<ProcessSnapshot, 'traffic'> & { readonly number: number };

/** What the status page and `lido top` show. */
export interface Overview {
  readonly now: number;
  readonly readiness: Readiness;
  readonly processes: readonly NumberedProcess[];
  /** The oldest first. */
  readonly history: readonly Moment[];
  readonly requests: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly slowest: TrafficData['slowest'];
  readonly errors: TrafficData['errors'];
  readonly restarts: readonly RecentRestart[];
}

/** How often processes are asked while somebody may look. Milliseconds. */
const LOOK_EACH_MS = 1000;
const MAX_HISTORY = 120;
/** Percentiles of a single second jump about. Seconds. */
const WINDOW = 10;
const MAX_RESTARTS = 20;

/** Totals at one moment; what happened between two is their difference. */
interface Mark {
  readonly at: number;
  readonly requests: number;
  readonly errors: number;
  readonly duration: HistogramData;
  readonly wait: HistogramData;
}

interface Known {
  readonly number: number;
  snapshot: ProcessSnapshot;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #known = new Map<unknown, Known>();
  /** Of processes that ended, by mount. */
  readonly #past = new Map<string, TrafficData>();
  readonly #processRestarts: Record<string, number> = {};
  #restarts: RecentRestart[] = [];
  #marks: Mark[] = [];
  #history: Moment[] = [];
  #refreshing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isLeaving = false;
  readonly #watchers = new Set<(overview: Overview) => void>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** Looks each second from here on. Ends with stop(). */
  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), LOOK_EACH_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#watchers.clear();
  }

  /** What a process is at; `key` stands for the process. */
  update(key: unknown, snapshot: ProcessSnapshot): void {
    const known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, { number: this.#nextNumber(), snapshot });
    else known.snapshot = snapshot;
  }

  /** A process ended: what it counted stays counted. */
  forget(key: unknown): void {
    const known = this.#known.get(key);
    this.#known.delete(key);
    for (const [mount, traffic] of Object.entries(known?.snapshot.traffic ?? {}))
      this.#past.set(mount, addTraffics(this.#past.get(mount) ?? NO_TRAFFIC, traffic));
  }

  /** A process was replaced that was not to end; `how` it ended, for people: "by SIGKILL". */
  countRestart(pid: number, how: string): void {
    this.#countRestart(pid, how, `it ended ${how}`);
  }

  /** A process was replaced that had served long enough; why, for people: "has answered 1000 requests". */
  countRecycling(pid: number, why: string): void {
    this.#countRestart(pid, 'recycled', `it ${why}`);
  }

  #countRestart(pid: number, cause: string, why: string): void {
    this.#processRestarts[cause] = (this.#processRestarts[cause] ?? 0) + 1;
    this.#restarts.unshift({ what: `process ${pid}`, why, at: Date.now() });
    this.#restarts.length = Math.min(this.#restarts.length, MAX_RESTARTS);
  }

  /** From now on it is not ready, though it serves: whoever sends requests here is to send them elsewhere. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Several who ask at once are answered from one look. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#options.refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** The answers by the processes' numbers; null for one that did not answer in time. */
  async ask<Q extends Question>(question: Q): Promise<ReadonlyMap<number, AnswerTo<Q> | null>> {
    await this.refresh();
    const answers = await this.#options.ask(question);
    const known = [...this.#known].sort(([, one], [, other]) => one.number - other.number);
    return new Map(known.map(([key, { number }]) => [number, answers.get(key) ?? null]));
  }

  /** Calls back with each second's overview until the function that it returns is called. */
  watch(callback: (overview: Overview) => void): () => void {
    this.#watchers.add(callback);
    return () => void this.#watchers.delete(callback);
  }

  /** One process that is ready makes a server that is: while another starts, or is replaced, requests are served. */
  readiness(): Readiness {
    if (this.#isLeaving) return { isReady: false, reasons: ['the server is about to stop'] };
    const reasons: string[] = [];
    let isReady = false;
    for (const { number, snapshot } of this.#known.values()) {
      const reason = this.#whyUnready(snapshot);
      if (reason === null) isReady = true;
      else reasons.push(`process ${number}: ${reason}`);
    }
    if (this.#known.size === 0) reasons.push('no process is there yet');
    return { isReady, reasons };
  }

  metricsSource(): MetricsSource {
    const known = [...this.#known.values()].sort((one, other) => one.number - other.number);
    return {
      processes: new Map(known.map(({ number, snapshot }) => [number, snapshot])),
      totals: this.#addUp(),
      processRestarts: this.#processRestarts,
      isReady: this.readiness().isReady,
    };
  }

  overview(): Overview {
    const all = [...this.#addUp().values()].reduce(addTraffics, NO_TRAFFIC);
    return {
      now: Date.now(),
      readiness: this.readiness(),
      processes: [...this.#known.values()]
        .map(({ number, snapshot: { traffic: _, ...process } }) => ({ number, ...process }))
        .sort((one, other) => one.number - other.number),
      history: this.#history,
      requests: countRequests(all),
      failures: all.failures,
      slowest: all.slowest,
      errors: all.errors,
      restarts: [...this.#restarts, ...all.lastRestarts]
        .sort((one, other) => other.at - one.at)
        .slice(0, MAX_RESTARTS),
    };
  }

  async #look(): Promise<void> {
    await this.refresh();
    this.#remember();
    if (this.#watchers.size === 0) return;
    const overview = this.overview();
    for (const watcher of this.#watchers) watcher(overview);
  }

  #remember(): void {
    const all = [...this.#addUp().values()].reduce(addTraffics, NO_TRAFFIC);
    const { duration, wait } = all;
    const mark = { at: Date.now(), requests: countRequests(all), errors: countErrors(all), duration, wait };
    this.#marks = [...this.#marks, mark].slice(-WINDOW - 1);
    if (this.#marks.length < 2) return;
    this.#history = [...this.#history, this.#describeMoment(mark)].slice(-MAX_HISTORY);
  }

  #describeMoment(mark: Mark): Moment {
    const before = this.#marks.at(-2) as Mark;
    const first = this.#marks[0] as Mark;
    const seconds = Math.max(0.001, (mark.at - before.at) / 1000);
    const duration = combine(mark.duration, first.duration, -1);
    const percentile = (share: number) => {
      const found = findPercentile(duration, share);
      return found === null ? null : found * 1000;
    };
    const applications = [...this.#known.values()].flatMap(({ snapshot }) => snapshot.applications);
    const workers = applications.flatMap((application) => application.workers);
    return {
      at: mark.at,
      requestsPerSecond: (mark.requests - before.requests) / seconds,
      errorsPerSecond: (mark.errors - before.errors) / seconds,
      p50: percentile(0.5),
      p95: percentile(0.95),
      p99: percentile(0.99),
      waitShare: duration.sum === 0 ? 0 : Math.min(1, combine(mark.wait, first.wait, -1).sum / duration.sum),
      waiting: applications.reduce((sum, { backlog }) => sum + backlog.size, 0),
      busy: workers.filter(({ state }) => state === 'busy').length,
      workers: workers.length,
    };
  }

  #addUp(): Map<string, TrafficData> {
    const totals = new Map(this.#past);
    for (const { snapshot } of this.#known.values())
      for (const [mount, traffic] of Object.entries(snapshot.traffic))
        totals.set(mount, addTraffics(totals.get(mount) ?? NO_TRAFFIC, traffic));
    return totals;
  }

  #whyUnready({ state, applications }: ProcessSnapshot): string | null {
    if (state !== 'serving') return state;
    for (const application of applications) {
      const reason = this.#whyNotServed(application);
      if (reason !== null) return `${application.mount}: ${reason}`;
    }
    return null;
  }

  #whyNotServed({ workers, backlog, refusal }: ApplicationSnapshot): string | null {
    const { readyWaitMs } = this.#options;
    if (refusal !== null) return refusal;
    if (!workers.some(({ state }) => state !== 'starting')) return 'no worker';
    if (readyWaitMs > 0 && backlog.oldestMs > readyWaitMs)
      return `a request has waited for ${Math.round(backlog.oldestMs / 1000)} s`;
    return null;
  }

  /** The smallest that is free, so that the same few names stay in use however often processes are replaced. */
  #nextNumber(): number {
    const taken = new Set([...this.#known.values()].map(({ number }) => number));
    let number = 1;
    while (taken.has(number)) number += 1;
    return number;
  }
}

function countRequests({ requests }: TrafficData): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0);
}

function countErrors({ requests }: TrafficData): number {
  return Object.entries(requests).reduce((sum, [key, count]) => (key.endsWith('5xx') ? sum + count : sum), 0);
}
