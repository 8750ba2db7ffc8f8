/** Main thread of the supervisor. Processes that serve and then end, are stuck, or are worn: another takes the place of each. */
import type { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { Hub } from '../observe/hub.js';
import type { Alarms } from './alarms.js';
import { GrowingPauses } from './growing-pauses.js';
import type { ProcessGroup } from './process-group.js';
import type { ProcessHandle } from './process-handle.js';

/** What it needs of the supervisor. */
export interface ReplacementWork {
  readonly processes: ProcessGroup;
  readonly alarms: Alarms;
  readonly log: Log;
  /** Counts what was replaced. */
  readonly hub: Hub;
  readonly isClosed: () => boolean;
  /** How many processes there are to be. */
  readonly countWanted: () => number;
  /** Makes changes of the processes one after the other. */
  readonly enqueue: <T>(change: () => Promise<T>) => Promise<T>;
  /** Starts so many; rejects with a LidoError where one cannot. */
  readonly start: (count: number) => Promise<void>;
  /** Lets one finish what it runs, and end. */
  readonly retire: (old: ProcessHandle) => void;
}

export class Replacements {
  readonly #work: ReplacementWork;
  readonly #pauses = new GrowingPauses();
  #startFailureIsLogged = false;

  constructor(work: ReplacementWork) {
    this.#work = work;
  }

  /** Waits until a process that serves ends, or asks for a successor, and replaces it. */
  async watch(serving: ProcessHandle): Promise<void> {
    const { log, hub, isClosed } = this.#work;
    void serving.worn.then((reason) => this.#recycle(serving, reason));
    void serving.stuck.then((reason) => this.#giveUp(serving, reason));
    const how = await serving.ended;
    if (isClosed() || serving.isStopped) return;
    log.error(`process ${serving.pid} ended ${how}; another takes its place`);
    hub.countRestart(serving.pid, how);
    this.#pauses.heldFor(performance.now() - (serving.servingSince ?? 0));
    this.#replaceLater();
  }

  /** One whose Python is stuck gets no more connections; what it can still finish it may, within the graceful time-out. */
  #giveUp(stuck: ProcessHandle, reason: string): void {
    const { log, hub, isClosed, retire } = this.#work;
    if (isClosed() || !stuck.isServing) return;
    log.error(`process ${stuck.pid}: ${reason}; another takes its place`);
    hub.countRestart(stuck.pid, 'while Python was stuck');
    retire(stuck);
    this.#replaceLater();
  }

  #replaceLater(): void {
    this.#work.alarms.set(this.#pauses.next(), () => void this.#replace());
  }

  async #replace(): Promise<void> {
    const { log, isClosed, enqueue } = this.#work;
    try {
      const started = await enqueue(() => this.#startMissing());
      for (const pid of started) log.info(`process ${pid} serves`);
      this.#startFailureIsLogged = false;
    } catch (error) {
      if (isClosed()) return;
      this.#logStartFailure(error as LidoError);
      this.#replaceLater();
    }
  }

  /** A reload may have brought the number up meanwhile. Resolves with the ids of those that serve now. */
  async #startMissing(): Promise<readonly number[]> {
    const { processes, countWanted, start } = this.#work;
    const serving = processes.findServing();
    const missing = countWanted() - serving.length;
    if (missing > 0) await start(missing);
    return processes.findServing().flatMap((each) => (serving.includes(each) ? [] : each.pid));
  }

  /** Exchanges a process that has served long enough, one at a time. */
  async #recycle(worn: ProcessHandle, reason: string): Promise<void> {
    const { log, hub, alarms, isClosed, countWanted, enqueue, start, retire } = this.#work;
    try {
      await enqueue(async () => {
        if (!worn.isServing) return;
        await start(1);
        retire(worn);
        log.info(`process ${worn.pid} ${reason}: another has taken its place`);
        hub.countRecycling(worn.pid, reason);
        if (countWanted() > 1) await worn.ended;
      });
    } catch (error) {
      if (isClosed()) return;
      this.#logStartFailure(error as LidoError);
      alarms.set(this.#pauses.longestMs, () => void this.#recycle(worn, reason));
    }
  }

  /** Once, until one starts again: it is the same failure each time. */
  #logStartFailure({ code, message, traceback }: LidoError): void {
    if (this.#startFailureIsLogged) return;
    this.#startFailureIsLogged = true;
    this.#work.log.error(
      { code, traceback },
      `a process cannot start: ${message}; trying again with growing pauses`,
    );
  }
}
