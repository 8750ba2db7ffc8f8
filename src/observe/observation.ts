/** Main thread. Everything that one process watches of its applications, opened and closed with it. */
import type { Log } from '../log.js';
import { type AccessLog, type AccessLogSettings, createAccessLog } from './access-log.js';
import type { HookRunner } from './hook-runner.js';
import { ApplicationObserver } from './observer.js';
import type { TrafficData } from './snapshot.js';
import { Tracing } from './tracing.js';
import { NOWHERE } from './traffic.js';
import { isWatched } from './watched.js';

export interface ObservationSettings extends AccessLogSettings {
  readonly admin: readonly string[];
  readonly controlSocket: string | null;
  readonly tracing: boolean;
}

export class Observation {
  readonly #accessLog: AccessLog | null;
  readonly #hooks: HookRunner | null;
  readonly #isOn: boolean;
  readonly #isTraced: boolean;
  readonly #log: Log;
  #tracing: Tracing | null = null;
  readonly #observers = new Map<string, ApplicationObserver>();

  /** Writes nothing before open(). */
  constructor(settings: ObservationSettings, log: Log, hooks: HookRunner | null = null) {
    this.#accessLog = createAccessLog(settings, log);
    this.#hooks = hooks;
    this.#isOn = this.#accessLog !== null || settings.tracing || isWatched(settings) || hooks !== null;
    this.#isTraced = settings.tracing;
    this.#log = log;
  }

  /** Opens the access log, and loads what traces. Rejects with LIDO_WRONG_SETTING, LIDO_TRACING_NOT_INSTALLED. */
  async open(): Promise<void> {
    await this.#accessLog?.open();
    if (!this.#isTraced) return;
    this.#tracing = await Tracing.load(this.#log);
    for (const observer of this.#observers.values()) observer.tracing = this.#tracing;
  }

  /** Who is told of an application's requests, the same for all its lives; null where nobody asked for anything. */
  observe(mount: string): ApplicationObserver | null {
    if (!this.#isOn) return null;
    const known = this.#observers.get(mount);
    if (known !== undefined) return known;
    const observer = new ApplicationObserver(mount, this.#accessLog, this.#hooks);
    this.#observers.set(mount, observer);
    return observer;
  }

  /** What came of requests so far, by mount. */
  read(): Readonly<Record<string, TrafficData>> {
    const all = [...this.#observers].map(([mount, { traffic }]) => [mount, traffic.read()] as const);
    const isTold = ([mount, { requests, failures }]: (typeof all)[number]) =>
      mount !== NOWHERE || Object.keys(requests).length + Object.keys(failures).length > 0;
    return Object.fromEntries(all.filter(isTold));
  }

  /** After log rotation has moved files away. */
  reopenLogs(): void {
    this.#accessLog?.reopen();
  }

  /** Writes what is left. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([this.#accessLog?.close(), this.#tracing?.flush()]);
  }
}
