/** Main thread. An application's workers: started, replaced and ended. */
import type { Worker } from 'node:worker_threads';
import { describe, explainThread, LidoError, traceOfEnd } from '../contract/errors.js';
import type { WorkerSettings } from '../contract/protocol.js';
import type { Log } from '../log.js';
import type { Waker } from '../python/waker.js';
import type { Dispatcher } from './dispatcher.js';
import { endMembers, type Member } from './member.js';
import { SPARE_THREADS, type Threads } from './piscina.js';
import type { ThreadLimits } from './scaling.js';
import { Session, type SessionEvents } from './session.js';

/** Pauses before a worker that died while it started is started again, in milliseconds: doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

export interface PoolOptions {
  readonly piscina: Threads;
  readonly settings: WorkerSettings;
  readonly threads: ThreadLimits;
  /** Requests that one worker may hold, running and queued. */
  readonly slots: number;
  readonly dispatcher: Dispatcher;
  /** What an application with an end of its own gets for it, where a worker of several is ended, or not all can start. Milliseconds. */
  readonly endLimitMs: number;
  readonly events: SessionEvents;
  /** Told when a worker takes requests, and when it takes no more; `reason` is null where that was meant to be. */
  readonly started: (session: Session) => void;
  readonly ended: (session: Session, reason: LidoError | null) => void;
  /** By which Python's workers wake this thread; null for other workers. */
  readonly waker: Waker | null;
  /** Told when another worker takes the place of one that ended, or was given up, for this reason. */
  readonly replaced: (reason: LidoError) => void;
  /** Told when so many workers were given up, and have not ended, that there is no thread for another. */
  readonly exhausted: (abandoned: number) => void;
  /** Waits with whoever waits for the application to be loaded in a worker, and tells of it where that takes long. */
  readonly tellWhileSlow: (loading: Promise<void>) => Promise<void>;
  readonly log: Log;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #piscina: Threads;
  readonly #members = new Map<Session, Member>();
  readonly #pauses = new Set<NodeJS.Timeout>();
  #failuresInARow = 0;
  #lastFailure: LidoError | null = null;
  #closing = false;
  /** Piscina could not make a thread, and holds a task that it will reject to nobody, which would end the process. */
  #lacksThreads = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#piscina = options.piscina;
    // A worker's failure also rejects its task, which is where it is handled.
    this.#piscina.on('error', () => {});
  }

  /** Why the last worker could not start; null while all is well. */
  get lastFailure(): LidoError | null {
    return this.#lastFailure;
  }

  /** Starts all workers. Resolves with the runtime's name; rejects with what the first failure was. */
  async start(): Promise<string> {
    const { settings } = this.#options;
    const threads = this.#options.threads.min;
    try {
      // One interpreter shows first whether it can import the application at all: should that fail, no other is in the midst of it.
      const isIsolated =
        settings.application.runtime === 'cpython' && settings.application.interpreter === 'isolated';
      const first = await this.#openTogether(isIsolated ? 1 : threads);
      const others = await this.#openTogether(threads - first.length);
      for (const member of [...first, ...others]) void this.#watch(member);
      return await (first[0] as Member).session.ready;
    } catch (error) {
      // Those that could have an end of their own.
      await this.close(this.#options.endLimitMs);
      throw error;
    }
  }

  /** Nobody waits for start() any more, which then rejects. Never for a thread inside Python. */
  abandonStart(): void {
    if (this.#options.settings.application.runtime === 'javascript')
      for (const { abort } of this.#members.values()) abort.abort();
  }

  /** Workers that load the application, or are about to. */
  get starting(): number {
    return this.startingNumbers.length;
  }

  /** Their numbers. */
  get startingNumbers(): readonly number[] {
    const { dispatcher } = this.#options;
    const loading = [...this.#members.values()].filter(
      ({ session, verdict, retired }) => verdict === null && !retired && !dispatcher.sessions.has(session),
    );
    return [...loading.map(({ session }) => session.number), ...this.#findFreeNumbers(this.#pauses.size)];
  }

  /** Starts so many workers more; each serves as soon as it can. */
  grow(count: number): void {
    if (!this.#closing) for (let left = count; left > 0; left -= 1) this.#replace();
  }

  /** Ends at most so many workers that have nothing to do, the longest unused first. Returns how many. */
  shrink(count: number): number {
    if (this.#closing) return 0;
    const { sessions } = this.#options.dispatcher;
    const idle = [...this.#members.values()]
      .filter(({ session, verdict }) => sessions.has(session) && verdict === null && session.load === 0)
      .sort((one, other) => one.session.lastUsed - other.session.lastUsed)
      .slice(0, count);
    for (const member of idle) {
      member.retired = true;
      this.#options.dispatcher.retireSession(member.session);
      member.session.close(this.#options.endLimitMs);
    }
    return idle.length;
  }

  /** The thread of a JavaScript session; undefined when it has ended. */
  findThread({ thread }: Session): Worker | undefined {
    return this.#piscina.threads.find(({ threadId }) => threadId === thread);
  }

  /** A thread in which the application is yet to be loaded; undefined where there is none. */
  findStartingThread(): Worker | undefined {
    const loaded = new Set([...this.#members.keys()].map(({ thread }) => thread));
    return this.#piscina.threads.find(({ threadId }) => !loaded.has(threadId));
  }

  /** Answers for a worker what it runs, with `verdict`, and puts another in its place at once. It gets nothing more. */
  abandon(session: Session, verdict: LidoError): void {
    const member = this.#members.get(session);
    if (member === undefined || member.verdict !== null) return;
    member.verdict = verdict;
    member.abandoned = true;
    this.#options.ended(session, verdict);
    this.#options.dispatcher.loseSession(session, verdict);
    if (this.#closing) return;
    this.#replaceFor(verdict);
    const abandoned = [...this.#members.values()].filter((each) => each.abandoned).length;
    if (abandoned === SPARE_THREADS + 1) this.#options.exhausted(abandoned);
  }

  /** Ends the thread of a worker that was abandoned. Never for a thread inside Python. */
  endThread(session: Session): void {
    this.#members.get(session)?.abort.abort();
  }

  /**
   * Ends all workers; one that still runs a request after the drain loses it. An application with an end of its own has
   * `limitMs` for that. Resolves with true when all have ended, with false when one is stuck inside
   * Python: its thread ends with the process.
   */
  async close(limitMs: number): Promise<boolean> {
    this.#closing = true;
    for (const pause of this.#pauses) clearTimeout(pause);
    const stuck = [...this.#members.values()].filter((member) => !this.#mayEnd(member));
    const ending = [...this.#members.values()].filter((member) => !stuck.includes(member));
    const ended = await endMembers(ending, limitMs, stuck.length > 0);
    for (const { session } of stuck)
      this.#options.dispatcher.loseSession(session, new LidoError('LIDO_SHUTTING_DOWN'));
    // Python's may still import the application, or wait for a GIL that a stuck one keeps; a JavaScript one can be ended.
    if (stuck.length > 0 || (!ended && this.#options.settings.application.runtime === 'cpython'))
      return false;
    if (!ended) this.#options.log.warn('a worker did not end in time: its thread was ended');
    await this.#destroy();
    return true;
  }

  /** A thread inside Python must not be ended: the GIL would go with it, and the process would stand still. */
  #mayEnd({ session, abandoned }: Member): boolean {
    if (this.#options.settings.application.runtime === 'javascript') return true;
    // A loop cancels what it runs.
    return !abandoned && (session.load === 0 || session.loop !== null);
  }

  /** Rejects with what the first failure was. */
  async #openTogether(count: number): Promise<readonly Member[]> {
    const members = Array.from({ length: count }, () => this.#open());
    const started = members.map((member) => this.#enlist(member));
    // A thread inside Python must not be ended, so the failure of one waits for the rest.
    if (this.#options.settings.application.runtime === 'cpython') await Promise.allSettled(started);
    await Promise.all(started);
    return members;
  }

  #open(): Member {
    const { settings, slots, events, waker } = this.#options;
    const session = new Session(settings, slots, events, this.#takeNumber(), waker);
    const abort = new AbortController();
    const ended = this.#run(session, abort.signal);
    const member: Member = { session, abort, verdict: null, retired: false, abandoned: false, ended };
    session.whenOver = ended.catch(() => {});
    this.#members.set(session, member);
    ended.catch((error: unknown) => session.failStart(member.verdict ?? this.#explainFailedStart(error)));
    return member;
  }

  /** Throws LIDO_NO_THREADS where one would have to be made for it, and could not. */
  #run({ start }: Session, signal: AbortSignal): Promise<void> {
    try {
      return this.#piscina.run(start, { transferList: [start.requests, start.bodies], signal });
    } catch (error) {
      this.#lacksThreads = true;
      throw explainThread(error);
    }
  }

  /** One that is replaced leaves its number to the next. */
  #takeNumber(): number {
    return this.#findFreeNumbers(1)[0] as number;
  }

  /** The smallest ones. */
  #findFreeNumbers(count: number): number[] {
    const staying = [...this.#members.values()].filter(({ abandoned, retired }) => !abandoned && !retired);
    const taken = new Set(staying.map(({ session }) => session.number));
    const free: number[] = [];
    for (let number = 1; free.length < count; number += 1) if (!taken.has(number)) free.push(number);
    return free;
  }

  /** Waits until the application is loaded, then lets the dispatcher use the worker. */
  async #enlist({ session }: Member): Promise<void> {
    await session.ready;
    this.#options.dispatcher.addSession(session);
    this.#options.started(session);
  }

  /** Waits until the worker ends, and replaces it if that was not asked for. */
  async #watch(member: Member): Promise<void> {
    const { session } = member;
    let loss: LidoError | null = null;
    try {
      await member.ended;
    } catch (error) {
      loss = member.verdict ?? this.#explainLoss(member, error);
      const { code, traceback, message } = loss;
      if (member.verdict === null) this.#options.log.error({ code, traceback }, message);
    }
    this.#members.delete(session);
    if (member.abandoned) return;
    const reason = loss ?? member.verdict ?? new LidoError('LIDO_WORKER_DIED', ['it ended']);
    this.#options.ended(session, this.#closing ? null : reason);
    this.#options.dispatcher.loseSession(session, reason);
    if (!this.#closing && !member.retired) this.#replaceFor(reason);
  }

  #replaceFor(reason: LidoError): void {
    this.#options.replaced(reason);
    this.#replace();
  }

  #replace(): void {
    const member = this.#open();
    this.#options.tellWhileSlow(this.#enlist(member)).then(
      () => {
        if (this.#failuresInARow > 0) this.#options.log.info('workers start again');
        this.#failuresInARow = 0;
        this.#lastFailure = null;
        void this.#watch(member);
      },
      (error: LidoError) => {
        this.#members.delete(member.session);
        this.#retryLater(error);
      },
    );
  }

  /** A worker that keeps dying while it starts is logged once, and tried again with growing pauses. */
  #retryLater(error: LidoError): void {
    if (this.#closing) return;
    if (this.#failuresInARow === 0) {
      this.#options.log.error(
        { code: error.code, traceback: error.traceback },
        `a worker cannot start: ${error.message}`,
      );
    }
    this.#lastFailure = error;
    this.#options.dispatcher.declareUnavailable(new LidoError('LIDO_NO_WORKER', [error.message]));
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failuresInARow, LONGEST_PAUSE_MS);
    this.#failuresInARow += 1;
    const pause = setTimeout(() => {
      this.#pauses.delete(pause);
      this.#replace();
    }, pauseMs);
    this.#pauses.add(pause);
  }

  #explainFailedStart(error: unknown): LidoError {
    const { spec } = this.#options.settings.application;
    const details = { cause: error, ...traceOfEnd(error) };
    return new LidoError('LIDO_ENDED_WHILE_LOADING', [spec, describe(error)], details);
  }

  #explainLoss(member: Member, error: unknown): LidoError {
    if (member.verdict !== null) return member.verdict;
    if (error instanceof LidoError) return error;
    return new LidoError('LIDO_WORKER_DIED', [describe(error)], { cause: error, ...traceOfEnd(error) });
  }

  /** Piscina's close() does not wait for running tasks; by now there are none. */
  async #destroy(): Promise<void> {
    for (const { session } of this.#members.values()) session.lose(new LidoError('LIDO_SHUTTING_DOWN'));
    this.#members.clear();
    if (!this.#lacksThreads) await this.#piscina.destroy();
  }
}
