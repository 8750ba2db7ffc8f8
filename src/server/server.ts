/** Main thread. Owns listeners and the application: listen(), close() as named drain steps. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationStats } from '../application/application.js';
import { MountTable } from '../application/mounts.js';
import { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import { Observation } from '../observe/observation.js';
import { type BindAddress, parseBind } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { removeStaleSocket } from './bind.js';
import { Listener } from './listener.js';

export interface ServerDependencies {
  readonly log: Log;
}

/** Makes a server; nothing is started before listen(). Throws LIDO_WRONG_SETTING for a malformed address. */
export function createServer(settings: Settings, { log }: ServerDependencies): Server {
  return new Server(settings, log);
}

export class Server {
  readonly #settings: Settings;
  readonly #binds: readonly BindAddress[];
  readonly #observation: Observation;
  readonly #mounts: MountTable;
  readonly #listeners: Listener[] = [];
  #addresses: string[] = [];
  #closed: Promise<boolean> | null = null;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#binds = settings.bind.map(parseBind);
    this.#observation = new Observation(settings, log);
    this.#mounts = new MountTable(settings, log, { observation: this.#observation });
  }

  /** Where the server listens, as URLs: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /**
   * Starts the workers, then listens. Rejects with a LidoError when the application or an address fails, LIDO_SHUTTING_DOWN where
   * close() came meanwhile.
   */
  async listen(): Promise<void> {
    try {
      this.#observation.open();
      await this.#mounts.start();
      for (const address of this.#binds) await this.#open(address);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Loads each application's code anew: new workers take the requests that come from then on, the old ones finish theirs
   * and end; no request is lost. Resolves when they have ended. Rejects with the LidoError of the first that fails, whose
   * old workers go on; with LIDO_PYTHON_NOT_RELOADABLE for a Python application, which takes a new process.
   */
  reload(): Promise<void> {
    return this.#mounts.reload();
  }

  /** Opens log files anew, after log rotation has moved them away. */
  reopenLogs(): void {
    this.#observation.reopenLogs();
  }

  /** What each application is at, by its mount. */
  stats(): readonly ApplicationStats[] {
    return this.#mounts.stats();
  }

  /** Imports each application in a worker, without listening. */
  async check(): Promise<readonly ApplicationStats[]> {
    try {
      await this.#mounts.start();
      return this.#mounts.stats();
    } finally {
      await this.close();
    }
  }

  /** One line for people: what is served, by what, on how many threads, in how many processes, where. */
  describe(): string {
    const { processes } = this.#settings;
    const shape = processes === 1 ? '' : ` in each of ${processes} processes`;
    return `serving ${this.#mounts.describe()}${shape} at ${this.#addresses.join(', ')}`;
  }

  /**
   * Stops accepting, finishes what runs within the grace period, ends the workers. Idempotent. Resolves with false when
   * a worker is stuck inside Python, where only the end of the process ends it, and when an application is still being
   * imported: listen() then rejects with LIDO_SHUTTING_DOWN as soon as it is.
   */
  close(): Promise<boolean> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<boolean> {
    const graceMs = this.#settings.gracefulTimeout * 1000;
    const end = performance.now() + graceMs;
    this.#mounts.announceEnd();
    await within(graceMs, Promise.all(this.#listeners.map((listener) => listener.stop())));
    await this.#mounts.drain(Math.max(0, end - performance.now()));
    for (const listener of this.#listeners) listener.destroy();
    const ended = await this.#mounts.close();
    await this.#observation.close();
    return ended;
  }

  async #open(address: BindAddress): Promise<void> {
    const listener = new Listener(address, this.#settings, this.#mounts.handle);
    // The supervisor has seen to it, and another process may listen there by now.
    if (this.#settings.processes === 1) await removeStaleSocket(address);
    await listener.open();
    if (this.#closed !== null) {
      listener.destroy();
      throw new LidoError('LIDO_SHUTTING_DOWN');
    }
    this.#listeners.push(listener);
    this.#addresses = [...this.#addresses, listener.url];
  }
}

/** Waits for a promise, at most so long. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([promise, sleep(ms, null, { signal: timer.signal }).catch(() => null)]);
  timer.abort();
}
