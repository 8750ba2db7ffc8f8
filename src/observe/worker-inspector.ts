/** Main thread. What each worker of an application does at this moment, and what waits for one. */
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { WorkerPool } from '../dispatch/pool.js';
import type { Session } from '../dispatch/session.js';
import type { ApplicationSnapshot, RunningRequest, WorkerSnapshot } from './snapshot.js';
import { readThreadCpu } from './thread-cpu.js';

interface Parts {
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
}

/** A path may be as long as `limitRequestLine`. Characters. */
const MAX_URL = 500;

export class WorkerInspector {
  /** What each had waited for the GIL when it was looked at last: the word that tells it begins anew now and then. */
  readonly #gilWaits = new WeakMap<Session, GilWait>();

  /** Null before the application is loaded. */
  look(parts: Parts | null): Pick<ApplicationSnapshot, 'backlog' | 'refusal' | 'workers'> {
    if (parts === null) return { backlog: { size: 0, oldestMs: 0 }, refusal: null, workers: [] };
    const { dispatcher, pool } = parts;
    const oldest = dispatcher.oldestInBacklog;
    const workers = [...dispatcher.sessions].map((session) => this.#describe(session));
    const starting = pool.startingNumbers.map((id) => describeStarting(id));
    return {
      backlog: {
        size: dispatcher.inBacklog,
        oldestMs: oldest === null ? 0 : performance.now() - oldest.readyAt,
      },
      refusal: dispatcher.unavailable?.message ?? null,
      workers: [...workers, ...starting].sort((one, other) => one.id - other.id),
    };
  }

  #describe(session: Session): WorkerSnapshot {
    const { exchanges } = session;
    const running = findRunning(session);
    return {
      id: session.number,
      state: exchanges.length === 0 ? 'idle' : 'busy',
      queued: exchanges.length - running.length,
      running: running.map(describeRunning),
      heap: session.heap,
      cpu: readThreadCpu(session.nativeThread),
      gilWait: this.#addGilWait(session),
    };
  }

  /** Seconds so far; null for a worker that has no Python. */
  #addGilWait(session: Session): number | null {
    if (session.interruptTarget === null) return null;
    const { word, totalUs } = this.#gilWaits.get(session) ?? { word: 0, totalUs: 0 };
    const now = session.gilWaitUs;
    const total = totalUs + ((now - word) >>> 0);
    this.#gilWaits.set(session, { word: now, totalUs: total });
    return total / 1e6;
  }
}

interface GilWait {
  readonly word: number;
  readonly totalUs: number;
}

function describeStarting(id: number): WorkerSnapshot {
  return { id, state: 'starting', queued: 0, running: [], heap: null, cpu: null, gilWait: null };
}

/** What a worker has begun. */
export function findRunning({ runsOne, exchanges }: Session): readonly Exchange[] {
  // One that runs requests one after the other has begun the first only.
  return runsOne ? exchanges.slice(0, 1) : exchanges;
}

export function describeRunning(exchange: Exchange): RunningRequest {
  const { requestId, request, url, begunAt } = exchange;
  const ageMs = begunAt === 0 ? 0 : Math.max(0, performance.now() - begunAt);
  return { requestId, method: request.method, url: url.slice(0, MAX_URL), ageMs };
}
