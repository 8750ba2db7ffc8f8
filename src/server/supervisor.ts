/**
 * Main thread of the parent process. Forks the processes, one acceptor with its pool each, replaces those that die, and
 * ends them together. It runs no application and answers no request.
 */
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { LidoError } from '../contract/errors.js';
import { parseBind } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { Admin } from './admin.js';
import { removeStaleSocket, reservePort } from './bind.js';
import { nameApplications, ProcessHandle } from './process-handle.js';

const PROCESS_FILE = fileURLToPath(new URL('../process.js', import.meta.url));

/** Pauses before a process that keeps dying is started again, in milliseconds: none at first, then doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A process that has served for so long is sound: its end begins a new count. Milliseconds. */
const STEADY_MS = 10_000;
/** What a process gets beyond the graceful time-out to end by itself before it is killed. Milliseconds. */
const KILL_AFTER_MS = 1000;

export class Supervisor {
  readonly #log: Logger;
  readonly #admin: Admin;
  #settings: Settings;
  readonly #processes = new Set<ProcessHandle>();
  readonly #pauses = new Set<NodeJS.Timeout>();
  #startLine = '';
  #endsInARow = 0;
  #startFailureIsLogged = false;
  #closed: Promise<boolean> | null = null;

  constructor(settings: Settings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
    this.#admin = new Admin(settings, log, () => this.#lookAtAll());
  }

  /** Starts all processes. When one cannot start, ends them all and rejects with its LidoError. */
  async listen(): Promise<void> {
    await this.#prepareAddresses();
    await this.#admin.open();
    // Spreads connections evenly, which the kernel does not: docs/performance.md has the figures.
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ exec: PROCESS_FILE, args: [nameApplications(this.#settings)] });
    const first = Array.from({ length: this.#settings.processes }, () => this.#fork());
    try {
      const [startLine = ''] = await Promise.all(first.map(({ ready }) => ready));
      this.#startLine = startLine;
    } catch (error) {
      // Told to stop before it served: the end of this process is on its way.
      if (this.#closed !== null) return await new Promise(() => {});
      this.kill();
      await this.close();
      throw error;
    }
    for (const started of first) void this.#watch(started);
  }

  /** One line for people: what is served, by what, in how many processes, on how many threads, where. */
  describe(): string {
    return `${this.#startLine}${this.#admin.describe()}`;
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
    for (const pause of this.#pauses) clearTimeout(pause);
    for (const running of this.#processes) running.stop();
    const killing = setTimeout(
      () => {
        const pids = [...this.#processes].map(({ pid }) => pid).join(', ');
        this.#log.warn(`killing what did not end within the graceful time-out: process ${pids}`);
        this.kill();
      },
      this.#settings.gracefulTimeout * 1000 + KILL_AFTER_MS,
    );
    await Promise.all([...this.#processes].map(({ ended }) => ended));
    clearTimeout(killing);
    await this.#admin.close();
    return true;
  }

  /** What must be done once, not by each process: a stale socket removed, a free port found. */
  async #prepareAddresses(): Promise<void> {
    for (const text of this.#settings.bind) await removeStaleSocket(parseBind(text));
    const bind = await Promise.all(this.#settings.bind.map(reservePort));
    this.#settings = { ...this.#settings, bind };
  }

  #fork(): ProcessHandle {
    const forked = new ProcessHandle(this.#settings);
    this.#processes.add(forked);
    void forked.ended.then(() => {
      this.#processes.delete(forked);
      // What it said last, as it ended, may not have been taken in yet.
      if (forked.snapshot !== null) this.#admin.hub.update(forked, forked.snapshot);
      this.#admin.hub.forget(forked);
    });
    return forked;
  }

  async #lookAtAll(): Promise<void> {
    await Promise.all([...this.#processes].map((running) => running.look()));
    for (const running of this.#processes)
      if (running.snapshot !== null) this.#admin.hub.update(running, running.snapshot);
  }

  /** Waits until a process that serves ends, and replaces it if that was not asked for. */
  async #watch(serving: ProcessHandle): Promise<void> {
    const how = await serving.ended;
    if (this.#closed !== null) return;
    this.#log.error(`process ${serving.pid} ended ${how}; another takes its place`);
    this.#admin.hub.countRestart(serving.pid, how);
    const age = performance.now() - (serving.servingSince ?? 0);
    if (age >= STEADY_MS) this.#endsInARow = 0;
    this.#replaceLater();
  }

  #replaceLater(): void {
    const pauseMs = this.#endsInARow === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (this.#endsInARow - 1);
    this.#endsInARow += 1;
    const pause = setTimeout(
      () => {
        this.#pauses.delete(pause);
        void this.#replace();
      },
      Math.min(pauseMs, LONGEST_PAUSE_MS),
    );
    this.#pauses.add(pause);
  }

  async #replace(): Promise<void> {
    const forked = this.#fork();
    try {
      await forked.ready;
    } catch (error) {
      if (this.#closed !== null) return;
      this.#logStartFailure(error as LidoError);
      this.#replaceLater();
      return;
    }
    this.#startFailureIsLogged = false;
    this.#log.info(`process ${forked.pid} serves`);
    void this.#watch(forked);
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
}
