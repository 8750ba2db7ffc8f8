/**
 * Main thread of the parent process. Holds the listening sockets; forks the processes, one acceptor with its pool each;
 * replaces those that die, are worn, or have old code; and ends them together. It runs no application and answers no
 * request.
 */
import type { Logger } from 'pino';
import { LidoError } from '../contract/errors.js';
import type { AnswerTo, Question } from '../observe/questions.js';
import { parseBind } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { Admin } from './admin.js';
import { Distribution } from './distribution.js';
import { ProcessHandle } from './process-handle.js';
import { checkChange } from './reloading.js';
import { SharedSocket } from './shared-socket.js';

/** Pauses before a process that keeps dying is started again, in milliseconds: none at first, then doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A process that has served for so long is sound: its end begins a new count. Milliseconds. */
const STEADY_MS = 10_000;
/** What a process gets beyond the graceful time-out to end by itself before it is killed. Milliseconds. */
const KILL_AFTER_MS = 1000;

export interface SupervisorDependencies {
  readonly log: Logger;
  /** Reads the settings again; rejects with a LidoError where they are wrong now. */
  readonly readSettings: () => Promise<Settings>;
}

export class Supervisor {
  readonly #log: Logger;
  /** The admin listeners, and what they are answered from. */
  readonly admin: Admin;
  readonly #readSettings: () => Promise<Settings>;
  /** As they were read; those that hold name the ports that the system chose, and as many processes as there are to be. */
  #asked: Settings;
  #settings: Settings;
  readonly #sockets: SharedSocket[] = [];
  readonly #processes = new Set<ProcessHandle>();
  readonly #distribution = new Distribution(this.#processes);
  /** True where the one process takes connections itself; from the second process on they are given out. */
  #isAlone = true;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Processes are exchanged one change after the other. */
  #changed: Promise<unknown> = Promise.resolve();
  #applications = '';
  #endsInARow = 0;
  #startFailureIsLogged = false;
  #closed: Promise<boolean> | null = null;

  constructor(settings: Settings, { log, readSettings }: SupervisorDependencies) {
    this.#asked = settings;
    this.#settings = settings;
    this.#log = log;
    this.admin = new Admin(settings, log, {
      refresh: () => this.#lookAtAll(),
      ask: (question) => this.#askAll(question),
    });
    this.#readSettings = readSettings;
  }

  /** Starts all processes. When one cannot start, ends them all and rejects with its LidoError. */
  async listen(): Promise<void> {
    try {
      await this.admin.open();
      for (const text of this.#settings.bind)
        this.#sockets.push(await SharedSocket.bind(parseBind(text), this.#settings));
      this.#settings = { ...this.#settings, bind: this.#sockets.map(({ bind }) => bind) };
      if (this.#settings.processes > 1) await this.#giveOut();
      await this.#startTogether(this.#settings, this.#settings.processes);
    } catch (error) {
      // Told to stop before it served: the end of this process is on its way.
      if (this.#closed !== null) return await new Promise(() => {});
      await this.close();
      throw error;
    }
  }

  /** One line for people: what is served, by what, on how many threads, in how many processes, where. */
  describe(): string {
    const { processes } = this.#settings;
    const shape = processes === 1 ? '' : ` in each of ${processes} processes`;
    return `serving ${this.#applications}${shape} at ${this.#describeAddresses()}${this.admin.describe()}`;
  }

  #describeAddresses(): string {
    const urls = this.#sockets.map(({ url }) => url);
    const isSecure = this.#settings.certfile.length > 0;
    return urls.map((url) => (isSecure ? url.replace(/^http:/, 'https:') : url)).join(', ');
  }

  /**
   * Reads the settings and the application anew: for each process another one, which serves before the old one finishes
   * what it runs and ends. Rejects with a LidoError where the new ones cannot start, and goes on with the old.
   */
  reload(): Promise<void> {
    return this.#enqueue(async () => {
      const settings = await this.#readSettings();
      checkChange(this.#asked, settings);
      const old = [...this.#processes].filter(({ isServing }) => isServing);
      const next = { ...settings, bind: this.#settings.bind };
      if (settings.processes > 1) await this.#giveOut();
      if (settings.reloadOneByOne) await this.#exchangeOneByOne(next, old);
      else {
        await this.#startTogether(next, settings.processes);
        for (const each of old) this.#retire(each);
      }
      this.#asked = settings;
      this.#settings = next;
    });
  }

  /** Starts one process more, or ends one; there is always one. Resolves with how many there are to be. */
  scale(by: 1 | -1): Promise<number> {
    return this.#enqueue(async () => {
      const processes = Math.max(1, this.#settings.processes + by);
      if (processes > this.#settings.processes) {
        await this.#giveOut();
        await this.#startTogether(this.#settings, 1);
      } else if (processes < this.#settings.processes) {
        const [oldest] = [...this.#processes].filter(({ isServing }) => isServing);
        if (oldest !== undefined) this.#retire(oldest);
      }
      this.#settings = { ...this.#settings, processes };
      return processes;
    });
  }

  /** Lets all processes do what log rotation asks for. */
  reopenLogs(): void {
    for (const each of this.#processes) each.reopenLogs();
  }

  /**
   * Lets all processes finish what they run and end. What has not ended a second after the graceful time-out is killed.
   * Idempotent; resolves with true: nothing is left that could hold up the end of this process.
   */
  close(): Promise<boolean> {
    this.#closed ??= this.#stop();
    return this.#closed;
  }

  /** Ends all processes at once, with what they run. */
  kill(): void {
    for (const running of this.#processes) running.kill();
  }

  async #stop(): Promise<boolean> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const each of this.#processes) if (each.servingSince === null) each.kill();
    await Promise.all(this.#sockets.map((socket) => socket.close()));
    await Promise.all([...this.#processes].map((each) => each.settle()));
    for (const each of this.#processes) this.#retire(each, this.#isAlone && each.isServing);
    await Promise.all([...this.#processes].map(({ ended }) => ended));
    this.#distribution.close();
    await this.admin.close();
    return true;
  }

  /** From now on connections are given out, and no process takes them by itself. */
  async #giveOut(): Promise<void> {
    if (!this.#isAlone) return;
    this.#isAlone = false;
    for (const [index, shared] of this.#sockets.entries())
      await shared.giveOut((socket) => this.#distribution.give({ index, socket }));
    for (const each of this.#processes) each.leave();
  }

  /** Starts processes, and lets them serve once all can; ends them when one cannot, and rejects with its LidoError. */
  async #startTogether(settings: Settings, count: number): Promise<void> {
    const started = Array.from({ length: count }, () => this.#fork(settings));
    try {
      const [applications = ''] = await Promise.all(started.map(({ ready }) => ready));
      this.#applications = applications;
    } catch (error) {
      for (const each of started) this.#retire(each);
      throw error;
    }
    for (const each of started) {
      each.isAdmitted = true;
      void this.#watch(each);
    }
    this.#distribution.resume();
  }

  /** One process more than there are to be, at most. */
  async #exchangeOneByOne(settings: Settings, old: readonly ProcessHandle[]): Promise<void> {
    for (let index = 0; index < Math.max(settings.processes, old.length); index += 1) {
      if (index < settings.processes) await this.#startTogether(settings, 1);
      const each = old[index];
      if (each === undefined) continue;
      this.#retire(each);
      await each.ended;
    }
  }

  #fork(settings: Settings): ProcessHandle {
    const forked = new ProcessHandle(
      settings,
      this.#isAlone ? this.#sockets.map(({ handle }) => handle) : [],
    );
    this.#processes.add(forked);
    void forked.ended.then(() => {
      this.#processes.delete(forked);
      // What it said last, as it ended, may not have been taken in yet.
      if (forked.snapshot !== null) this.admin.hub.update(forked, forked.snapshot);
      this.admin.hub.forget(forked);
      for (const arrival of forked.takeBack()) this.#distribution.give(arrival);
    });
    return forked;
  }

  async #lookAtAll(): Promise<void> {
    await Promise.all([...this.#processes].map((running) => running.look()));
    for (const running of this.#processes)
      if (running.snapshot !== null) this.admin.hub.update(running, running.snapshot);
  }

  async #askAll<Q extends Question>(question: Q): Promise<ReadonlyMap<unknown, AnswerTo<Q>>> {
    const asked = [...this.#processes].map(
      async (running) => [running, await running.ask(question)] as const,
    );
    const answers = await Promise.all(asked);
    return new Map(answers.flatMap(([running, answer]) => (answer === null ? [] : [[running, answer]])));
  }

  /** Lets a process finish what it runs and end, and kills it when that takes too long. */
  #retire(old: ProcessHandle, isLast = false): void {
    old.stop(isLast);
    const killing = this.#later(this.#settings.gracefulTimeout * 1000 + KILL_AFTER_MS, () => {
      this.#log.warn(`killing what did not end within the graceful time-out: process ${old.pid}`);
      old.kill();
    });
    void old.ended.then(() => clearTimeout(killing));
  }

  /** Waits until a process that serves ends, or asks for a successor, and replaces it. */
  async #watch(serving: ProcessHandle): Promise<void> {
    void serving.worn.then((reason) => this.#recycle(serving, reason));
    void serving.stuck.then((reason) => this.#giveUp(serving, reason));
    const how = await serving.ended;
    if (this.#closed !== null || serving.isStopped) return;
    this.#log.error(`process ${serving.pid} ended ${how}; another takes its place`);
    this.admin.hub.countRestart(serving.pid, how);
    const age = performance.now() - (serving.servingSince ?? 0);
    if (age >= STEADY_MS) this.#endsInARow = 0;
    this.#replaceLater();
  }

  /** One whose Python is stuck gets no more connections; what it can still finish it may, within the graceful time-out. */
  #giveUp(stuck: ProcessHandle, reason: string): void {
    if (this.#closed !== null || !stuck.isServing) return;
    this.#log.error(`process ${stuck.pid}: ${reason}; another takes its place`);
    this.admin.hub.countRestart(stuck.pid, 'while Python was stuck');
    this.#retire(stuck);
    this.#replaceLater();
  }

  #replaceLater(): void {
    const pauseMs = this.#endsInARow === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (this.#endsInARow - 1);
    this.#endsInARow += 1;
    this.#later(Math.min(pauseMs, LONGEST_PAUSE_MS), () => void this.#replace());
  }

  async #replace(): Promise<void> {
    try {
      const started = await this.#enqueue(() => this.#startMissing());
      for (const pid of started) this.#log.info(`process ${pid} serves`);
      this.#startFailureIsLogged = false;
    } catch (error) {
      if (this.#closed !== null) return;
      this.#logStartFailure(error as LidoError);
      this.#replaceLater();
    }
  }

  /** A reload may have brought the number up meanwhile. Resolves with the ids of those that serve now. */
  async #startMissing(): Promise<readonly number[]> {
    const serving = new Set([...this.#processes].filter(({ isServing }) => isServing));
    const missing = this.#settings.processes - serving.size;
    if (missing <= 0) return [];
    await this.#startTogether(this.#settings, missing);
    return [...this.#processes].filter((each) => each.isServing && !serving.has(each)).map(({ pid }) => pid);
  }

  /** Exchanges a process that has served long enough, one at a time. */
  async #recycle(worn: ProcessHandle, reason: string): Promise<void> {
    try {
      await this.#enqueue(async () => {
        if (!worn.isServing) return;
        await this.#startTogether(this.#settings, 1);
        this.#retire(worn);
        this.#log.info(`process ${worn.pid} ${reason}: another has taken its place`);
        if (this.#settings.processes > 1) await worn.ended;
      });
    } catch (error) {
      if (this.#closed !== null) return;
      this.#logStartFailure(error as LidoError);
      this.#later(LONGEST_PAUSE_MS, () => void this.#recycle(worn, reason));
    }
  }

  /** Once, until one starts again: it is the same failure each time. */
  #logStartFailure({ code, message, traceback }: LidoError): void {
    if (this.#startFailureIsLogged) return;
    this.#startFailureIsLogged = true;
    this.#log.error(
      { code, traceback },
      `a process cannot start: ${message}; trying again with growing pauses`,
    );
  }

  #later(ms: number, act: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #enqueue<T>(change: () => Promise<T>): Promise<T> {
    const made = this.#changed.then(() => {
      if (this.#closed !== null) throw new LidoError('LIDO_SHUTTING_DOWN');
      return change();
    });
    this.#changed = made.catch(() => {});
    return made;
  }
}
