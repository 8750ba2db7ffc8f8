/** Main thread. One application: its workers, its dispatcher, its acceptor, put together from settings. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Acceptor, PLAIN_CONTEXT, type RequestContext } from './acceptor.js';
import { resolveApplication } from './application.js';
import { describeConnection } from './connection.js';
import { watchDeadlines } from './deadline.js';
import { Dispatcher } from './dispatcher.js';
import { LidoError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { GateLimits } from './gate.js';
import type { Log } from './log.js';
import type { Settings } from './options.js';
import { WorkerPool } from './pool.js';
import type { ApplicationSpec, WorkerSettings } from './protocol.js';
import { type PythonHost, startPythonHost } from './python-host.js';
import { VERSION } from './version.js';

/** Requests queued in a worker behind the running one, so that it never idles for a round trip. */
const PREFETCH = 64;
/** From here on a running request counts as slow, and what is queued behind it goes elsewhere. Milliseconds. */
const SLOW_MS = 5;
/** Work that may wait in one worker before another is woken for it: about what it takes to wake one. Milliseconds. */
const WORTH_WAKING_MS = 0.25;

/** What an application is at. */
export interface ApplicationStats {
  /** Where it is mounted: '/' or '/shop'. */
  readonly mount: string;
  /** As it was named: "shop.wsgi:application". */
  readonly application: string;
  /** What runs it: "Node.js 20.20.2", "Python 3.11.2". */
  readonly runtime: string;
  /** Workers that are there now. */
  readonly workers: number;
  /** Workers that hold a request. */
  readonly busy: number;
  /** Requests that workers hold, running or next. */
  readonly sent: number;
  /** Requests in the backlog. */
  readonly waiting: number;
}

export class ApplicationHandler {
  readonly #settings: Settings;
  readonly #log: Logger;
  #running: Running | null = null;
  #runtime = '';
  #draining = false;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    // The parts below ask for pino's type, and for no more of it than any log has.
    this.#log = log as Logger;
  }

  /** Finds the application and starts its workers. Resolves with the runtime's name; rejects with a LidoError. */
  async start(): Promise<string> {
    const application = await resolveApplication(this.#settings);
    const threads = this.#settings.threads ?? defaultThreads(application, this.#settings.processes);
    const host = application.runtime === 'cpython' ? await startPythonHost(application.python) : null;
    const isDraining = () => this.#draining;
    const running = assemble(this.#settings, application, threads, host, this.#log, isDraining);
    this.#runtime = await running.pool.start();
    this.#running = running;
    return this.#runtime;
  }

  /** "hello.js:application by Node.js 20.20.2 on 2 threads" */
  describe(): string {
    const threads = this.#running?.dispatcher.sessions.size ?? 0;
    return `${this.#settings.application} by ${this.#runtime} on ${threads} thread${threads === 1 ? '' : 's'}`;
  }

  /** `mount` is where it is mounted. */
  stats(mount: string): ApplicationStats {
    const sessions = [...(this.#running?.dispatcher.sessions ?? [])];
    return {
      mount,
      application: this.#settings.application ?? '',
      runtime: this.#runtime,
      workers: sessions.length,
      busy: sessions.filter(({ load }) => load > 0).length,
      sent: this.#running?.dispatcher.sent ?? 0,
      waiting: this.#running?.dispatcher.waiting ?? 0,
    };
  }

  /** A request listener for node:http and whatever speaks its interface. */
  readonly handle = (
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext = PLAIN_CONTEXT,
  ): void => {
    this.#running?.acceptor.handle(request, response, context);
  };

  /** Waits until no request waits or runs, at most `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    if (this.#running === null) return;
    const timeout = new AbortController();
    const patience = sleep(graceMs, false, { signal: timeout.signal }).catch(() => false);
    const finished = await Promise.race([this.#running.dispatcher.whenIdle().then(() => true), patience]);
    timeout.abort();
    if (!finished)
      this.#log.warn(`${this.#running.dispatcher.sent} requests did not finish within the graceful time-out`);
  }

  /** Ends the workers; call drain() first. Resolves with false when one is stuck inside Python and only the process's end ends it. */
  async close(): Promise<boolean> {
    const running = this.#running;
    if (running === null) return true;
    running.stopWatching();
    const ended = await running.pool.close();
    // Whoever still waits, or comes later, is told so.
    running.dispatcher.declareUnavailable(new LidoError('LIDO_504'));
    return ended;
  }
}

interface Running {
  readonly acceptor: Acceptor;
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  readonly stopWatching: () => void;
}

function assemble(
  settings: Settings,
  application: ApplicationSpec,
  threads: number,
  host: PythonHost | null,
  log: Logger,
  isDraining: () => boolean,
): Running {
  const policy = {
    concurrency: settings.concurrency,
    prefetch: PREFETCH,
    sharedGil:
      application.runtime === 'cpython' &&
      !application.python.freeThreaded &&
      application.interpreter === 'shared',
    slowMs: SLOW_MS,
    worthWakingMs: WORTH_WAKING_MS,
  };
  const dispatcher = new Dispatcher({ policy, backlog: settings.backlog });
  const pool = new WorkerPool({
    settings: describeWorkers(settings, application),
    threads,
    slots: policy.concurrency + policy.prefetch,
    dispatcher,
    events: {
      released: (session) => dispatcher.released(session),
      log: (exchange, level, text) => logFromWorker(log, exchange, level, text),
    },
    log,
  });
  const acceptor = new Acceptor({
    dispatcher,
    gate: readGateLimits(settings),
    body: { maxBodySize: settings.maxBodySize, bodyTimeoutMs: settings.bodyTimeout * 1000 },
    sendTimeoutMs: settings.sendTimeout * 1000,
    keepUnderscores: false,
    debug: settings.debug,
    log,
    connectionOf: describeConnection,
    isDraining,
    nextRequestId: createRequestIds(),
  });
  const stopWatching = watchDeadlines({ dispatcher, pool, timeoutMs: settings.timeout * 1000, host, log });
  return { acceptor, dispatcher, pool, stopWatching };
}

/** What the gate refuses, by these settings. */
export function readGateLimits(settings: Settings): GateLimits {
  return {
    requestLine: settings.limitRequestLine,
    fields: settings.limitRequestFields,
    fieldSize: settings.limitRequestFieldSize,
    maxBodySize: settings.maxBodySize,
  };
}

function describeWorkers(settings: Settings, application: ApplicationSpec): WorkerSettings {
  return {
    application,
    constants: { SERVER_SOFTWARE: `lido/${VERSION}`, GATEWAY_INTERFACE: 'CGI/1.1' },
    multithread: true,
    multiprocess: settings.processes > 1,
    debug: settings.debug,
    validate: settings.validate,
    timeout: settings.timeout,
    concurrency: settings.concurrency,
  };
}

/** Cores for what can use them; threads that share one GIL gain nothing from a second one but waiting. */
function defaultThreads(application: ApplicationSpec, processes: number): number {
  if (
    application.runtime === 'cpython' &&
    !application.python.freeThreaded &&
    application.interpreter === 'shared'
  )
    return 1;
  return Math.ceil(availableParallelism() / processes);
}

/** Ids that are short, and differ between processes and restarts. */
function createRequestIds(): () => string {
  const prefix = randomBytes(4).toString('hex');
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}

function logFromWorker(
  log: Logger,
  exchange: Exchange | null,
  level: 'error' | 'warn' | 'info',
  text: string,
): void {
  if (exchange === null) log[level](text);
  else exchange.log[level]({ requestId: exchange.requestId }, text);
}
