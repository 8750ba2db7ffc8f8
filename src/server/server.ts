/** Main thread. Owns listeners and the application: listen(), close() as named drain steps. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationStats } from '../application/application-stats.js';
import { MountTable } from '../application/mounts.js';
import { LidoError } from '../contract/errors.js';
import type { Luggage } from '../http/departure.js';
import type { Log } from '../log.js';
import { HookRunner } from '../observe/hook-runner.js';
import { Observation } from '../observe/observation.js';
import type { AnswerTo, Question } from '../observe/questions.js';
import type { ProcessSnapshot } from '../observe/snapshot.js';
import { VitalsMonitor } from '../observe/vitals.js';
import { isWatched } from '../observe/watched.js';
import { type BindAddress, parseBind } from '../settings/address.js';
import type { Hooks } from '../settings/hooks.js';
import type { Settings } from '../settings/resolve.js';
import { Admin } from './admin.js';
import { createDoor, type Door } from './door.js';
import { Listener } from './listener.js';
import type { ListeningHandle } from './listening.js';
import type { Siblings } from './siblings.js';
import { Certificates } from './tls.js';

/** A client that asks one request after the other pauses for less. Milliseconds. */
const IDLE_MS = 1000;

export interface ServerDependencies {
  readonly log: Log;
  /** Those of processes that serve are called; undefined where there are none. */
  readonly hooks?: Hooks | undefined;
  /** Other processes that serve the same; null where there are none. */
  readonly siblings?: Siblings | null;
}

/** Makes a server; nothing is started before listen(). Throws LIDO_WRONG_SETTING for a malformed address. */
export function createServer(
  settings: Settings,
  { log, hooks, siblings = null }: ServerDependencies,
): Server {
  return new Server(settings, log, hooks === undefined ? null : new HookRunner(hooks, log), siblings);
}

export class Server {
  readonly rereadsSettings = false;
  readonly #settings: Settings;
  readonly #binds: readonly BindAddress[];
  readonly #log: Log;
  readonly #observation: Observation;
  readonly #vitals = new VitalsMonitor();
  /** The admin listeners, and what they are answered from. */
  readonly admin: Admin;
  readonly #mounts: MountTable;
  /** Whether connections may leave for other processes. */
  readonly #mayLeave: boolean;
  readonly #listeners: Listener[] = [];
  readonly #door: Door | null;
  #addresses: string[] = [];
  #certificates: Certificates | null = null;
  #isServing = false;
  #closed: Promise<boolean> | null = null;

  constructor(settings: Settings, log: Log, hooks: HookRunner | null, siblings: Siblings | null) {
    this.#settings = settings;
    this.#log = log;
    this.#binds = settings.bind.map(parseBind);
    this.#observation = new Observation(settings, log, hooks);
    this.#mayLeave = siblings !== null;
    this.#mounts = new MountTable(settings, log, {
      observation: this.#observation,
      createElsewhere: siblings?.createElsewhere,
    });
    this.#door = createDoor(settings, {
      log,
      makeRoom: () => this.#endIdlest(),
      refused: (error) => this.#mounts.strangers?.turnedAway(error),
    });
    this.admin = new Admin(settings, log, {
      refresh: async () => this.admin.hub.update(this, this.inspect()),
      ask: async (question) => new Map([[this, await this.answer(question)]]),
    });
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
    // Under a supervisor it is that which answers, for all processes.
    await this.admin.open();
    await this.serve(this.#binds.map(() => null));
  }

  /**
   * As listen(), on sockets that others have too: one for each address, null to open it, 'given' for none: connections
   * then come by take(). With a failure no application is started: that is shown.
   */
  async serve(
    sockets: readonly (ListeningHandle | 'given' | null)[],
    failure: LidoError | null = null,
  ): Promise<void> {
    try {
      await this.#observation.open();
      if (this.#settings.certfile.length > 0)
        this.#certificates = new Certificates(this.#settings, this.#log);
      if (isWatched(this.#settings)) this.#vitals.start();
      if (failure === null) await this.#mounts.start();
      else this.showFailure(failure);
      for (const [index, address] of this.#binds.entries())
        await this.#open(address, index, sockets[index] ?? null);
      this.#isServing = true;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Serves a connection that came for the address of this index, with what another process has read of it. */
  take(index: number, socket: Socket, luggage: Luggage | null): void {
    const listener = this.#listeners[index];
    if (listener === undefined) socket.destroy();
    else listener.take(socket, luggage);
  }

  /** Serves on a connection that was to leave. */
  takeBack(index: number, socket: Socket, luggage: Luggage): void {
    this.#listeners[index]?.takeBack(socket, luggage);
  }

  /** Takes no more connections by itself from sockets that others have too. */
  leave(): void {
    for (const listener of this.#listeners) listener.leave();
  }

  /** Connections that are served. */
  get connections(): number {
    return this.#listeners.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** What was written to all of them; it stands still while nobody is answered. Bytes. */
  get bytesWritten(): number {
    return this.#listeners.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
  }

  /**
   * Loads each application's code anew, under the settings that it has: new workers take the requests that come from then on, the old ones finish theirs
   * and end; no request is lost. Resolves when they have ended. Rejects with the LidoError of the first that fails, whose
   * old workers go on; with LIDO_PYTHON_NOT_RELOADABLE for a Python application, which takes a new process.
   */
  reload(): Promise<void> {
    return this.#mounts.reload();
  }

  /** From now on the health check says that it is not ready, though it serves. */
  announceEnd(): void {
    this.admin.hub.leave();
  }

  /** Answers every request with what keeps new code from being loaded. For --reload. */
  showFailure(error: LidoError): void {
    this.#mounts.showFailure(error);
  }

  /** Opens log files anew, after log rotation has moved them away. */
  reopenLogs(): void {
    this.#observation.reopenLogs();
  }

  /** All that this process can tell of itself. */
  inspect(): ProcessSnapshot {
    const active = this.#mounts.unanswered;
    return {
      pid: process.pid,
      startedAt: performance.timeOrigin,
      state: this.#closed !== null ? 'draining' : this.#isServing ? 'serving' : 'starting',
      applications: this.#mounts.inspect(),
      traffic: this.#observation.read(),
      connections: { active, idle: Math.max(0, this.connections - active) },
      vitals: this.#vitals.read(),
    };
  }

  /** Answers what is told only when somebody asks. */
  answer<Q extends Question>(question: Q): Promise<AnswerTo<Q>> {
    return this.#answer(question) as Promise<AnswerTo<Q>>;
  }

  #answer(question: Question): Promise<AnswerTo<Question>> {
    switch (question[0]) {
      case 'stacks':
        return this.#mounts.findStacks();
      case 'profile':
        return this.#mounts.takeProfile(question[1]);
    }
  }

  /** Where the admin listeners are, as URLs. */
  get adminAddresses(): readonly string[] {
    return this.admin.addresses;
  }

  /** Each application as it stands at this moment, by the path that it is mounted at. */
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

  /** One line for people: what is served, by what, on how many threads, where. */
  describe(): string {
    return `serving ${this.describeApplications()} at ${this.#addresses.join(', ')}${this.admin.describe()}`;
  }

  /** "hello.js:application by Node.js 20.20.2 on 2 threads" */
  describeApplications(): string {
    return this.#mounts.describe();
  }

  /**
   * Stops accepting, finishes what runs within the grace period, ends the workers. Idempotent. Resolves with false when
   * a worker is stuck inside Python, where only the end of the process ends it, and when an application is still being
   * imported: listen() then rejects with LIDO_SHUTTING_DOWN as soon as it is.
   */
  close(): Promise<boolean> {
    return this.end(true);
  }

  /** As close(); unless it is the last, others go on taking connections from its sockets. */
  end(isLast: boolean): Promise<boolean> {
    this.#closed ??= this.#drain(isLast);
    return this.#closed;
  }

  /** Whoever has asked nothing for a while makes room for others; one in the midst of asking does not. */
  #endIdlest(): boolean {
    const idle = this.#listeners.map((listener) => listener.findIdlest()).filter((found) => found !== null);
    const [idlest] = idle.sort((one, other) => one.since - other.since);
    if (idlest === undefined || performance.now() - idlest.since < IDLE_MS) return false;
    idlest.connection.destroy();
    return true;
  }

  async #drain(isLast: boolean): Promise<boolean> {
    const graceMs = this.#settings.gracefulTimeout * 1000;
    const end = performance.now() + graceMs;
    this.#mounts.announceEnd(isLast);
    await within(graceMs, Promise.all(this.#listeners.map((listener) => listener.stop(isLast))));
    await this.#mounts.drain(Math.max(0, end - performance.now()));
    for (const listener of this.#listeners) listener.destroy();
    this.#door?.close();
    const ended = await this.#mounts.close();
    await this.#observation.close();
    this.#certificates?.close();
    this.#vitals.stop();
    await this.admin.close();
    return ended;
  }

  async #open(address: BindAddress, index: number, socket: ListeningHandle | 'given' | null): Promise<void> {
    const listener = new Listener(
      address,
      this.#mayLeave ? index : null,
      this.#settings,
      this.#log,
      this.#mounts,
      this.#certificates,
      this.#door,
    );
    if (socket !== 'given') await listener.open(socket);
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
