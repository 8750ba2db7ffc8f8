/** Main thread. One application: started, asked, loaded anew, drained and ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LidoError } from '../contract/errors.js';
import type { Elsewhere } from '../dispatch/elsewhere.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { HttpRequest } from '../http/request.js';
import { PLAIN_CONTEXT, type RequestContext } from '../http/request-context.js';
import type { ResponseSink } from '../http/response-sink.js';
import type { SpoolStore } from '../http/spool.js';
import type { Log } from '../log.js';
import type { ApplicationObserver } from '../observe/observer.js';
import type { ApplicationSnapshot } from '../observe/snapshot.js';
import type { StackParts } from '../observe/stacks.js';
import { WorkerInspector } from '../observe/worker-inspector.js';
import type { Settings } from '../settings/resolve.js';
import type { ApplicationStats } from './application-stats.js';
import {
  drainApplication,
  endApplication,
  endStreams,
  type RunningApplication,
  startApplication,
} from './running-application.js';

export class ServedApplication {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #runsOnce: boolean;
  readonly #inspector = new WorkerInspector();
  readonly #observer: ApplicationObserver | null;
  readonly #store: SpoolStore;
  readonly #elsewhere: Elsewhere<Exchange> | null;
  #running: RunningApplication | null = null;
  #isStarting = false;
  #draining = false;
  /** What is being loaded is not waited for any more. */
  readonly #abandoned = new AbortController();
  /** What is loaded from here on comes too late. */
  #isClosed = false;
  /** When the grace period ends. performance.now(). */
  #graceEnd = 0;
  /** Settles when the last reload has, and what it replaced is ended. */
  #reloaded: Promise<void> = Promise.resolve();

  constructor(
    settings: Settings,
    log: Log,
    store: SpoolStore,
    observer: ApplicationObserver | null,
    elsewhere: Elsewhere<Exchange> | null,
    runsOnce: boolean,
  ) {
    this.#settings = settings;
    this.#store = store;
    this.#observer = observer;
    this.#elsewhere = elsewhere;
    this.#runsOnce = runsOnce;
    // The parts below ask for pino's type, and for no more of it than any log has.
    this.#log = log as Log;
  }

  /** Finds the application and starts its workers. Rejects with a LidoError: LIDO_SHUTTING_DOWN where close() came meanwhile. */
  async start(): Promise<void> {
    this.#isStarting = true;
    try {
      this.#running = await this.#startAnother();
    } finally {
      this.#isStarting = false;
    }
    if (!this.#draining) return;
    await endApplication(this.#running);
    throw new LidoError('LIDO_SHUTTING_DOWN');
  }

  /**
   * Starts workers that load the application's code anew, lets them have all requests from then on, and ends the others
   * once they have finished theirs. Rejects with a LidoError where the new code fails, and goes on with the old; with
   * LIDO_PYTHON_NOT_RELOADABLE for Python, which keeps its modules for as long as the process lives, in interpreters of their own too.
   */
  reload(): Promise<void> {
    const reload = this.#reloaded.then(() => this.#exchange());
    this.#reloaded = reload.catch(() => {});
    return reload;
  }

  /** "hello.js:application by Node.js 20.20.2 on 2 threads" */
  describe(): string {
    const { min, max } = this.#running?.threads ?? { min: 0, max: 0 };
    const threads = min === max ? String(max) : `${min} to ${max}`;
    return `${this.#settings.application} by ${this.#running?.runtime} on ${threads} thread${max === 1 ? '' : 's'}`;
  }

  /** Requests that are being answered. */
  get unanswered(): number {
    return this.#running?.acceptor.unanswered ?? 0;
  }

  /** Whether it takes WebSockets; known once it is started. */
  get takesWebSockets(): boolean {
    return this.#running?.acceptor.options.webSockets != null;
  }

  /** What it is at, with each worker. */
  inspect(mount: string): ApplicationSnapshot {
    return {
      mount,
      application: this.#settings.application ?? '',
      runtime: this.#running?.runtime ?? '',
      threads: this.#running?.threads ?? { min: 0, max: 0 },
      ...this.#inspector.look(this.#running),
      webSockets: this.#running?.acceptor.options.webSockets?.size ?? null,
    };
  }

  /** What it takes to find where its workers stand; nothing before they are there. */
  stackParts(mount: string): readonly StackParts[] {
    if (this.#running === null) return [];
    const { dispatcher, pool, host } = this.#running;
    return [{ mount, sessions: dispatcher.sessions, pool, host }];
  }

  /** `mount` is where it is mounted. */
  stats(mount: string): ApplicationStats {
    const sessions = [...(this.#running?.dispatcher.sessions ?? [])];
    return {
      mount,
      application: this.#settings.application ?? '',
      runtime: this.#running?.runtime ?? '',
      workers: sessions.length,
      busy: sessions.filter(({ load }) => load > 0).length,
      sent: this.#running?.dispatcher.sent ?? 0,
      waiting: this.#running?.dispatcher.inBacklog ?? 0,
      answered: this.#running?.acceptor.answered ?? 0,
    };
  }

  /** Takes a request whose turn has come. */
  readonly handle = (
    request: HttpRequest,
    sink: ResponseSink,
    context: RequestContext = PLAIN_CONTEXT,
  ): void => {
    this.#running?.acceptor.handle(request, sink, context);
  };

  /** From now on each answer tells its client that it is the connection's last; `isLast`: nobody else takes connections. */
  announceEnd(isLast: boolean): void {
    this.#draining = true;
    if (this.#running !== null) endStreams(this.#running, isLast);
  }

  /** Waits until no request waits or runs, at most `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    this.#graceEnd = performance.now() + graceMs;
    if (this.#running !== null) await drainApplication(this.#running, graceMs, this.#log);
  }

  /**
   * Ends the workers; call drain() first. Resolves with false when one is stuck inside Python and only the process's end
   * ends it, and at once when the application is still being imported: a thread of JavaScript is ended then, Python's main thread,
   * which nothing interrupts, keeps the process from its end no more. A reload may take what is left of the grace period.
   */
  async close(): Promise<boolean> {
    this.#draining = true;
    if (this.#isStarting) {
      this.#abandoned.abort();
      return false;
    }
    const graceMs = Math.max(0, this.#graceEnd - performance.now());
    const isLoaded = await Promise.race([
      this.#reloaded.then(() => true),
      sleep(graceMs, false, { ref: false }),
    ]);
    this.#isClosed = true;
    if (!isLoaded) this.#abandoned.abort();
    const limitMs = this.#graceEnd - performance.now();
    const ended = this.#running === null || (await endApplication(this.#running, limitMs));
    return ended && isLoaded;
  }

  async #exchange(): Promise<void> {
    const old = this.#running;
    if (old === null || this.#draining) throw new LidoError('LIDO_SHUTTING_DOWN');
    if (old.application.runtime === 'cpython')
      throw new LidoError('LIDO_PYTHON_NOT_RELOADABLE', [old.application.spec]);
    const another = await this.#startAnother();
    if (this.#isClosed) {
      await endApplication(another);
      throw new LidoError('LIDO_SHUTTING_DOWN');
    }
    this.#running = another;
    const graceMs = this.#settings.gracefulTimeout * 1000;
    const end = performance.now() + graceMs;
    await drainApplication(old, graceMs, this.#log);
    await endApplication(old, end - performance.now());
  }

  async #startAnother(): Promise<RunningApplication> {
    const isDraining = () => this.#draining;
    try {
      return await startApplication(
        this.#settings,
        this.#log,
        this.#store,
        this.#observer,
        this.#elsewhere,
        isDraining,
        this.#runsOnce,
        this.#abandoned.signal,
      );
    } catch (error) {
      throw this.#abandoned.signal.aborted ? new LidoError('LIDO_SHUTTING_DOWN') : error;
    }
  }
}
