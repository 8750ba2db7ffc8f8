/** Main thread. One application's workers, dispatcher and acceptor, put together from settings, started and ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LidoError } from '../contract/errors.js';
import type { ApplicationSpec } from '../contract/protocol.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import type { Elsewhere } from '../dispatch/elsewhere.js';
import type { Exchange, Substitute } from '../dispatch/exchange.js';
import { startThreads, type Threads } from '../dispatch/piscina.js';
import { WorkerPool } from '../dispatch/pool.js';
import { RefusalLog } from '../dispatch/refusal-log.js';
import type { ThreadLimits } from '../dispatch/scaling.js';
import { findStuckStack } from '../dispatch/stuck-stack.js';
import { canProfileAlone } from '../dispatch/thread-profile.js';
import { createRequestNaming } from '../http/request-naming.js';
import type { SpoolStore } from '../http/spool.js';
import { GOING_AWAY, SERVICE_RESTART } from '../http/websocket/connection.js';
import type { WebSockets } from '../http/websocket/websockets.js';
import type { Log } from '../log.js';
import type { ApplicationObserver } from '../observe/observer.js';
import { type PythonHost, startPythonHost } from '../python/host.js';
import type { Settings } from '../settings/resolve.js';
import { Acceptor } from './acceptor.js';
import { findAvailableCores } from './available-cores.js';
import { chooseConnection, readGateLimits, readTrust } from './client-limits.js';
import { resolveApplication } from './find.js';
import { openWebSockets } from './open-websockets.js';
import { type Place, tellWhileSlow } from './slow-start.js';
import { checkConcurrency, chooseConcurrency, chooseThreads, PREFETCH, sharesGil } from './threads.js';
import { declareExhausted, watch } from './watches.js';
import { chooseOutput, describeWorkers } from './worker-settings.js';

/** From here on a running request counts as slow, and what is queued behind it goes elsewhere. Milliseconds. */
const SLOW_MS = 5;
/** Work that may wait in one worker before another is woken for it: about what it takes to wake one. Milliseconds. */
const WORTH_WAKING_MS = 0.25;

/** How long an application that has ended may take to be let go of. Milliseconds. */
const UNLOAD_PATIENCE_MS = 2000;
/** What an application with an end of its own gets for it, even if the requests have used up the grace period. Milliseconds. */
const LEAST_END_MS = 1000;

/** An application that is served. */
export interface RunningApplication {
  readonly application: ApplicationSpec;
  /** What runs it: "Node.js 20.20.2", "Python 3.11.2". */
  readonly runtime: string;
  /** The thread that holds the process's Python, where that runs it. */
  readonly host: PythonHost | null;
  readonly acceptor: Acceptor;
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  readonly threads: ThreadLimits;
  readonly stopWatching: () => void;
}

/** Finds the application and starts its workers. Rejects with a LidoError. `abandoned`: nobody waits for it any more. */
export async function startApplication(
  settings: Settings,
  log: Log,
  store: SpoolStore,
  observer: ApplicationObserver | null,
  elsewhere: Elsewhere<Exchange> | null,
  isDraining: () => boolean,
  runsOnce: boolean,
  abandoned: AbortSignal = new AbortController().signal,
): Promise<RunningApplication> {
  const { privateFiles } = settings;
  const substitute = privateFiles === null ? null : await openPrivateFiles(privateFiles);
  const found = await resolveApplication(settings);
  checkConcurrency(settings, found);
  const piscina = startThreads(chooseThreads(settings, found), found.runtime);
  const [host, application] = await loadBeside(piscina, found, settings, log, abandoned);
  const { count: min, most: max } = chooseThreads(settings, application);
  const threads = { min, max };
  const webSockets = speaksAsgi(application) ? await openWebSockets(settings, store.budget) : null;
  const parts = assemble(
    settings,
    application,
    threads,
    piscina,
    host,
    log,
    store,
    observer,
    elsewhere,
    isDraining,
    runsOnce,
    substitute,
    webSockets,
  );
  const running = { application, host, ...parts };
  try {
    const findPlace = () => findLoading(application, parts.pool);
    const starting = orAbandon(abandoned, parts.pool.start(), () => parts.pool.abandonStart());
    const runtime = await tellWhileSlow(starting, found.spec, log, findPlace);
    return { runtime, ...running };
  } catch (error) {
    await unload(running);
    // Isolated interpreters load it by themselves: what it speaks is known only once they have, and much depends on that.
    if (
      settings.interface === 'auto' &&
      error instanceof LidoError &&
      error.code === 'LIDO_ASGI_APPLICATION'
    ) {
      const asgi: Settings = { ...settings, interface: 'asgi' };
      return startApplication(asgi, log, store, observer, elsewhere, isDraining, runsOnce, abandoned);
    }
    throw error;
  }
}

/**
 * Ends what has no end of its own: whoever listens to a stream of events, or has a WebSocket, would keep the server from
 * closing. They are to ask somebody else, or where `isLast` says that nobody is left, later.
 */
export function endStreams({ acceptor, dispatcher }: RunningApplication, isLast: boolean): void {
  for (const { loop } of dispatcher.sessions) loop?.endStreams();
  acceptor.options.webSockets?.closeAll(isLast ? GOING_AWAY : SERVICE_RESTART);
}

/** Only who names files pays for loading what sends them. */
async function openPrivateFiles(folders: NonNullable<Settings['privateFiles']>): Promise<Substitute> {
  const { PrivateFiles } = await import('./static/private-files.js');
  return PrivateFiles.open(folders);
}

/** Waits until every request is answered, to the last byte, at most `graceMs`. */
export async function drainApplication(
  running: RunningApplication,
  graceMs: number,
  log: Log,
): Promise<void> {
  const { acceptor, dispatcher } = running;
  endStreams(running, true);
  const timeout = new AbortController();
  const finish = () => Promise.all([dispatcher.whenIdle(), acceptor.whenAnswered()]);
  const patience = sleep(graceMs, false, { signal: timeout.signal }).catch(() => false);
  const finished = await Promise.race([finish().then(() => true), patience]);
  timeout.abort();
  const left = Math.max(acceptor.unanswered, dispatcher.sent);
  if (!finished) log.warn(`${left} requests did not finish within the graceful time-out`);
}

/**
 * Ends the workers; an application with an end of its own has `limitMs` for it. Resolves with false when one is stuck inside
 * Python and only the process's end ends it.
 */
export async function endApplication(running: RunningApplication, limitMs = 0): Promise<boolean> {
  const { dispatcher, pool } = running;
  running.stopWatching();
  const ended = await pool.close(Math.max(LEAST_END_MS, limitMs));
  // Whoever still waits, or comes later, is told so.
  dispatcher.declareUnavailable(new LidoError('LIDO_SHUTTING_DOWN'));
  // Where one is stuck inside Python, nobody else may get in.
  if (ended) await unload(running);
  return ended;
}

/** Loads what the process has one of while its threads start; ends them where it cannot be loaded. */
async function loadBeside(
  piscina: Threads,
  found: ApplicationSpec,
  settings: Settings,
  log: Log,
  abandoned: AbortSignal,
): Promise<readonly [PythonHost | null, ApplicationSpec]> {
  try {
    const host =
      found.runtime === 'cpython' ? await startPythonHost(found.python, chooseOutput(settings)) : null;
    return [host, await loadShared(found, host, log, abandoned)];
  } catch (error) {
    await piscina.destroy();
    throw error;
  }
}

/** A Python application is one object for all threads of the process, save where each has an interpreter of its own. */
async function loadShared(
  application: ApplicationSpec,
  host: PythonHost | null,
  log: Log,
  abandoned: AbortSignal,
): Promise<ApplicationSpec> {
  if (application.runtime !== 'cpython' || application.interpreter === 'isolated' || host === null)
    return application;
  const loading = orAbandon(abandoned, host.load(application, log), () => void host.letGo());
  const findPlace = async () => ({ stack: await host.findStack(), reason: '' });
  const loaded = await tellWhileSlow(loading, application.spec, log, findPlace);
  return { ...application, ...loaded };
}

/** Settles as `loading` does; `abandon` is called where nobody waits for that any more. */
async function orAbandon<T>(abandoned: AbortSignal, loading: Promise<T>, abandon: () => void): Promise<T> {
  if (abandoned.aborted) abandon();
  else abandoned.addEventListener('abort', abandon);
  try {
    return await loading;
  } finally {
    abandoned.removeEventListener('abort', abandon);
  }
}

/** Where the application stands that a worker loads. */
async function findLoading(application: ApplicationSpec, pool: WorkerPool): Promise<Place> {
  if (application.runtime === 'javascript') {
    const thread = pool.findStartingThread();
    if (thread !== undefined && canProfileAlone(thread)) return await findStuckStack(thread);
  }
  const isImported =
    application.runtime === 'cpython' && application.interface === 'asgi' && application.shared > 0;
  return { stack: '', reason: isImported ? 'it has yet to send lifespan.startup.complete' : '' };
}

async function unload({
  application,
  host,
}: Pick<RunningApplication, 'application' | 'host'>): Promise<void> {
  if (application.runtime !== 'cpython' || application.shared === 0 || host === null) return;
  // Python's main thread may be importing another application.
  await Promise.race([host.unload(application.shared), sleep(UNLOAD_PATIENCE_MS, undefined, { ref: false })]);
}

function speaksAsgi(application: ApplicationSpec): boolean {
  return application.runtime === 'cpython' && application.interface === 'asgi';
}

function assemble(
  settings: Settings,
  application: ApplicationSpec,
  threads: ThreadLimits,
  piscina: Threads,
  host: PythonHost | null,
  log: Log,
  store: SpoolStore,
  observer: ApplicationObserver | null,
  elsewhere: Elsewhere<Exchange> | null,
  isDraining: () => boolean,
  runsOnce: boolean,
  substitute: Substitute | null,
  webSockets: WebSockets | null,
): Omit<RunningApplication, 'application' | 'runtime' | 'host'> {
  const speaks = speaksAsgi(application) ? 'asgi' : 'wsgi';
  const concurrency = chooseConcurrency(settings, application);
  const policy = {
    concurrency,
    // A loop begins each request as soon as it comes.
    prefetch: speaks === 'asgi' ? 0 : PREFETCH,
    isAlone: threads.max === 1,
    // With one thread nobody shares it: requests lie in the worker, one behind the other.
    sharedGil: threads.max > 1 && speaks === 'wsgi' && sharesGil(application),
    cores: findAvailableCores(),
    slowMs: SLOW_MS,
    worthWakingMs: WORTH_WAKING_MS,
  };
  const dispatcher = new Dispatcher({
    policy,
    backlog: settings.backlog,
    backlogTimeoutMs: settings.backlogTimeout * 1000,
    elsewhere,
  });
  const pool: WorkerPool = new WorkerPool({
    settings: describeWorkers(settings, application, threads, concurrency, host, runsOnce),
    piscina,
    threads,
    slots: policy.concurrency + policy.prefetch,
    dispatcher,
    endLimitMs: Math.max(LEAST_END_MS, settings.gracefulTimeout * 1000),
    waker: host?.waker ?? null,
    tellWhileSlow: (loading) =>
      tellWhileSlow(loading, application.spec, log, () => findLoading(application, pool)),
    events: {
      measured: (exchange, manner) => dispatcher.measured(exchange, manner),
      released: (session) => dispatcher.released(session),
      log: (exchange, level, ...line) => logFromWorker(log, exchange, level, ...line),
    },
    started: ({ thread }) => observer?.workerStarted(thread),
    ended: ({ thread }, reason) => observer?.workerEnded(thread, reason),
    replaced: (reason) => observer?.traffic.restart(reason),
    exhausted: (count) => void declareExhausted(host, count, log),
    log,
  });
  const acceptor = new Acceptor({
    dispatcher,
    gate: readGateLimits(settings),
    body: {
      maxBodySize: settings.maxBodySize,
      bodyTimeoutMs: settings.bodyTimeout * 1000,
      minRate: settings.minBodyRate,
      memory: settings.bufferMemory,
      isBuffered: settings.requestBuffering ?? speaks === 'wsgi',
    },
    store,
    answers:
      (settings.responseBuffering ?? speaks === 'wsgi')
        ? { store, memory: settings.bufferMemory, isWorkerWanted: () => dispatcher.waiting > 0 }
        : null,
    sendTimeoutMs: settings.sendTimeout * 1000,
    debug: settings.debug,
    log,
    connectionOf: chooseConnection(settings),
    isDraining,
    naming: createRequestNaming(readTrust(settings)),
    sendsRequestId: settings.sendRequestId,
    refusals: new RefusalLog(),
    observer,
    substitute,
    speaks,
    webSockets,
  });
  const stopWatching = watch({ settings, application, threads, dispatcher, pool, host, observer, log });
  return { acceptor, dispatcher, pool, threads, stopWatching };
}

function logFromWorker(
  log: Log,
  exchange: Exchange | null,
  level: 'error' | 'warn' | 'info',
  text: string,
  fields: Readonly<Record<string, string>> = {},
): void {
  if (exchange === null) log[level](fields, text);
  else exchange.log[level]({ ...exchange.names, ...fields }, text);
}
