/**
 * Main thread of the parent process. Holds the listening sockets; forks the processes, one acceptor with its pool each;
 * exchanges them for others with new code or settings; and ends them together. It runs no application and answers no request.
 */
import { probeFor } from '../application/find.js';
import { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { Probes } from '../python/find.js';
import type { Settings } from '../settings/resolve.js';
import { Admin } from './admin.js';
import { Alarms } from './alarms.js';
import { birth } from './birth.js';
import { SpareProcess } from './development/spare-process.js';
import { Distribution } from './distribution.js';
import type { Configuration } from './operated.js';
import { ProcessGroup } from './process-group.js';
import { forkProcess, ProcessHandle, type Surroundings } from './process-handle.js';
import { checkChange } from './reloading.js';
import { Replacements } from './replacements.js';
import { SharedSockets } from './shared-sockets.js';
import { tellWhileUnbegun } from './slow-birth.js';
import { Successor } from './successor.js';
import { VacancyFile } from './vacancy-file.js';

/** What a process gets beyond the graceful time-out to end by itself before it is killed. Milliseconds. */
const KILL_AFTER_MS = 1000;

export interface SupervisorDependencies {
  readonly log: Log;
  /** Reads settings and hooks again; rejects with a LidoError where they are wrong now. */
  readonly readAgain: () => Promise<Configuration>;
  /** Told under --reload which files the applications consist of. */
  readonly loaded: Surroundings['loaded'];
  /** What the Pythons are that these settings name; on its way. */
  readonly probes: Promise<Probes>;
}

export class Supervisor {
  readonly rereadsSettings = true;
  readonly #log: Log;
  /** The admin listeners, and what they are answered from. */
  readonly admin: Admin;
  readonly #readAgain: () => Promise<Configuration>;
  /** As they were read; those that hold name the ports that the system chose, and as many processes as there are to be. */
  #asked: Settings;
  #settings: Settings;
  /** A config file with hooks that processes call. */
  #hookFile: string | null;
  readonly #sockets = new SharedSockets();
  readonly #processes = new ProcessGroup();
  readonly #distribution: Distribution;
  /** True where the one process takes connections itself; from the second process on they are given out. */
  #isAlone = true;
  /** Where processes say whether they could begin a request; null where there are not several. */
  #vacancies: VacancyFile | null = null;
  readonly #loaded: Surroundings['loaded'];
  readonly #spare = new SpareProcess();
  /** For the first start; null after it: a Python may be another by then. */
  #probes: Promise<Probes> | null;
  readonly #alarms = new Alarms();
  readonly #replacements: Replacements;
  /** Processes are exchanged one change after the other. */
  #changed: Promise<unknown> = Promise.resolve();
  #applications = '';
  #closed: Promise<boolean> | null = null;
  #successor: Successor | null = null;

  constructor(
    { settings, hooks }: Configuration,
    { log, readAgain, loaded, probes }: SupervisorDependencies,
  ) {
    this.#probes = probes;
    this.#asked = settings;
    this.#settings = settings;
    this.#hookFile = hooks.file;
    this.#log = log;
    this.#distribution = new Distribution(this.#processes, log);
    this.admin = new Admin(settings, log, {
      refresh: () => this.#processes.look(this.admin.hub),
      ask: (question) => this.#processes.ask(question),
    });
    this.#readAgain = readAgain;
    this.#loaded = loaded;
    this.#replacements = new Replacements({
      processes: this.#processes,
      alarms: this.#alarms,
      log,
      hub: this.admin.hub,
      isClosed: () => this.#closed !== null,
      countWanted: () => this.#settings.processes,
      enqueue: (change) => this.#enqueue(change),
      start: (count) => this.#startTogether(this.#settings, count),
      retire: (old) => this.#retire(old),
    });
  }

  /** Starts all processes. When one cannot start, ends them all and rejects with its LidoError. */
  async listen(): Promise<void> {
    try {
      // The predecessor's are open still.
      if (birth.predecessor === null) await this.admin.open();
      const { bind } = this.#settings;
      await this.#sockets.open(bind, this.#settings, birth.predecessor?.sockets ?? {});
      this.#settings = { ...this.#settings, bind: this.#sockets.binds };
      if (this.#settings.processes > 1) await this.#giveOut();
      await this.#startFirst();
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
    return `serving ${this.#applications}${shape} at ${this.addresses.join(', ')}${this.admin.describe()}`;
  }

  get addresses(): readonly string[] {
    const isSecure = this.#settings.certfile.length > 0;
    return this.#sockets.urls.map((url) => (isSecure ? url.replace(/^http:/, 'https:') : url));
  }

  /**
   * Reads the settings and the application anew: for each process another one, which serves before the old one finishes
   * what it runs and ends. Rejects with a LidoError where the new ones cannot start, and goes on with the old.
   */
  reload(): Promise<void> {
    return this.#enqueue(async () => {
      const { settings, hooks } = await this.#readAgain();
      checkChange(this.#asked, settings);
      const old = this.#processes.findServing();
      const next = { ...settings, bind: this.#settings.bind };
      this.#hookFile = hooks.file;
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
        const [oldest] = this.#processes.findServing();
        if (oldest !== undefined) this.#retire(oldest);
      }
      this.#settings = { ...this.#settings, processes };
      return processes;
    });
  }

  /**
   * Starts this command once more, with the listening sockets. Rejects with LIDO_SUCCESSOR_FAILED where it cannot serve, with
   * LIDO_SHUTTING_DOWN where close() came meanwhile.
   */
  startSuccessor(): Promise<Successor> {
    return this.#enqueue(async () => {
      const { handles } = this.#sockets;
      const descriptors = this.#asked.bind.map((bind, index) => [bind, handles[index]?.fd ?? -1]);
      const successor = new Successor(Object.fromEntries(descriptors));
      this.#successor = successor;
      void tellWhileUnbegun(successor, this.#log);
      try {
        await successor.ready;
      } finally {
        this.#successor = null;
      }
      return successor;
    });
  }

  /** Ends this server without ending its sockets, which the successor has. */
  handOver(successor: Successor, letGo: () => Promise<void>): Promise<boolean> {
    // Told to stop meanwhile: so is the one that was to follow.
    if (this.#closed !== null) successor.kill();
    this.#closed ??= (async () => {
      await Promise.all([this.admin.close(), letGo()]);
      successor.letHave();
      return await this.#stop(false);
    })();
    return this.#closed;
  }

  /** Opens what was the predecessor's until now. */
  takeOver(): Promise<void> {
    return this.admin.open();
  }

  announceEnd(): void {
    this.admin.hub.leave();
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
    this.#closed ??= this.#stop(true);
    return this.#closed;
  }

  showFailure(error: LidoError): void {
    for (const each of this.#processes.findServing()) each.showFailure(error);
  }

  /** Ends what is being started: its code is not wanted any more. reload() then rejects with LIDO_ENDED_WHILE_LOADING. */
  abandonStart(): void {
    for (const each of this.#processes) if (each.servingSince === null) each.kill();
  }

  /** Ends all processes at once, with what they run. */
  kill(): void {
    this.#spare.end();
    for (const running of this.#processes) running.kill();
  }

  /** Unless it is the last, another goes on with the sockets. */
  async #stop(isLast: boolean): Promise<boolean> {
    const end = performance.now() + this.#settings.gracefulTimeout * 1000;
    this.#successor?.kill();
    this.#alarms.clear();
    this.#spare.end();
    this.abandonStart();
    await this.#sockets.close(isLast);
    const finish = async (each: ProcessHandle) => {
      await each.settle(end - performance.now());
      this.#retire(each, end - performance.now(), isLast && this.#isAlone && each.isServing);
      await each.ended;
    };
    await Promise.all([...this.#processes].map(finish));
    this.#distribution.close();
    this.#vacancies?.close();
    await this.admin.close();
    return true;
  }

  /** From now on connections are given out, and no process takes them by itself. */
  async #giveOut(): Promise<void> {
    if (!this.#isAlone) return;
    this.#isAlone = false;
    this.#vacancies = VacancyFile.open();
    await this.#sockets.giveOut((index, socket) => this.#distribution.give({ index, socket, luggage: null }));
    for (const each of this.#processes) each.leave();
  }

  /** Whoever is writing the application is told by a page what keeps it from being loaded. */
  async #startFirst(): Promise<void> {
    try {
      await this.#startTogether(this.#settings, this.#settings.processes);
    } catch (error) {
      if (!this.#settings.reload || !(error instanceof LidoError) || this.#closed !== null) throw error;
      const { code, message, traceback } = error;
      this.#log.error({ code, traceback }, `nothing is served until this is mended: ${message}`);
      await this.#startTogether(this.#settings, 1, error);
    }
  }

  /** Starts processes, and lets them serve once all can; ends them when one cannot, and rejects with its LidoError. */
  async #startTogether(settings: Settings, count: number, failure: LidoError | null = null): Promise<void> {
    // A change that waits for the end of an old one may go on when all are to end.
    if (this.#closed !== null) throw new LidoError('LIDO_SHUTTING_DOWN');
    const probes = this.#probes ?? probeFor(settings);
    this.#probes = null;
    const started = Array.from({ length: count }, () => this.#fork(settings, probes, failure));
    try {
      const [applications = ''] = await Promise.all(started.map(({ ready }) => ready));
      this.#applications = applications;
    } catch (error) {
      for (const each of started) this.#retire(each);
      throw error;
    } finally {
      if (settings.reload && this.#closed === null) this.#spare.prepare(settings, this.#vacancies);
    }
    for (const each of started) {
      each.isAdmitted = true;
      void this.#replacements.watch(each);
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

  #fork(settings: Settings, probes: Promise<Probes>, failure: LidoError | null): ProcessHandle {
    const child = this.#spare.take(this.#vacancies) ?? forkProcess(settings, this.#vacancies);
    const start = { settings, probes, hookFile: this.#hookFile, failure };
    const forked = new ProcessHandle(child, start, this.#isAlone ? this.#sockets.handles : [], {
      vacancies: this.#vacancies,
      findOther: (leaving, place) =>
        this.#closed === null ? this.#distribution.findOther(leaving, place) : null,
      lost: this.#distribution.giveAnew,
      loaded: this.#loaded,
    });
    this.#processes.add(forked);
    void tellWhileUnbegun(forked, this.#log);
    void forked.ended.then(async () => {
      this.#processes.delete(forked);
      // What it said last, as it ended, may not have been taken in yet.
      if (forked.snapshot !== null) this.admin.hub.update(forked, forked.snapshot);
      this.admin.hub.forget(forked);
      for (const arrival of await forked.takeBack()) this.#distribution.give(arrival);
    });
    return forked;
  }

  /** Lets a process finish what it runs and end, and kills it when that takes too long. */
  #retire(old: ProcessHandle, graceMs = this.#settings.gracefulTimeout * 1000, isLast = false): void {
    old.stop(isLast);
    const spare = this.#alarms.set(graceMs + KILL_AFTER_MS, () => {
      this.#log.warn(`killing what did not end within the graceful time-out: process ${old.pid}`);
      old.kill();
    });
    void old.ended.then(spare);
  }

  #enqueue<T>(change: () => Promise<T>): Promise<T> {
    const made = this.#changed.then(async () => {
      if (this.#closed !== null) throw new LidoError('LIDO_SHUTTING_DOWN');
      try {
        return await change();
      } catch (error) {
        // What is being started is killed at the end: nothing is wrong with its code.
        throw this.#closed === null ? error : new LidoError('LIDO_SHUTTING_DOWN');
      }
    });
    this.#changed = made.catch(() => {});
    return made;
  }
}
