/** Main thread. What each worker of an application does at this moment, and what waits for one. */
import type { Worker } from 'node:worker_threads';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { WorkerPool } from '../dispatch/pool.js';
import type { Session } from '../dispatch/session.js';
import type { ApplicationSnapshot, RunningRequest, WorkerSnapshot } from './snapshot.js';

interface Parts {
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
}

type Heap = WorkerSnapshot['heap'];

/** Node.js 22.16 and 24.6 have these; @types/node for Node.js 20 does not. */
interface TellingWorker {
  getHeapStatistics?(): Promise<{ readonly used_heap_size: number; readonly heap_size_limit: number }>;
  cpuUsage?(): Promise<{ readonly user: number; readonly system: number }>;
}

/** A path may be as long as `limitRequestLine`. Characters. */
const MAX_URL = 500;

export class WorkerInspector {
  /** What threads told last: they are asked each time, and answer when they have a moment. */
  readonly #heaps = new WeakMap<Worker, Heap>();
  readonly #cpus = new WeakMap<Worker, number>();

  /** Null before the application is loaded. */
  look(parts: Parts | null): Pick<ApplicationSnapshot, 'backlog' | 'workers'> {
    if (parts === null) return { backlog: { size: 0, oldestMs: 0 }, workers: [] };
    const { dispatcher, pool } = parts;
    const oldest = dispatcher.oldestInBacklog;
    const workers = [...dispatcher.sessions].map((session) => this.#describe(session, pool));
    const starting = pool.startingNumbers.map((id) => describeStarting(id));
    return {
      backlog: {
        size: dispatcher.inBacklog,
        oldestMs: oldest === null ? 0 : performance.now() - oldest.readyAt,
      },
      workers: [...workers, ...starting].sort((one, other) => one.id - other.id),
    };
  }

  #describe(session: Session, pool: WorkerPool): WorkerSnapshot {
    const { exchanges } = session;
    const running = findRunning(session);
    const thread = pool.findThread(session);
    if (thread !== undefined) this.#ask(thread);
    return {
      id: session.number,
      state: exchanges.length === 0 ? 'idle' : 'busy',
      queued: exchanges.length - running.length,
      running: running.map(describeRunning),
      heap: (thread && this.#heaps.get(thread)) ?? null,
      cpu: (thread && this.#cpus.get(thread)) ?? null,
    };
  }

  #ask(thread: Worker): void {
    const telling = thread as TellingWorker;
    telling.getHeapStatistics?.().then(
      ({ used_heap_size: used, heap_size_limit: limit }) => this.#heaps.set(thread, { used, limit }),
      // It has ended meanwhile.
      () => {},
    );
    telling.cpuUsage?.().then(
      ({ user, system }) => this.#cpus.set(thread, (user + system) / 1e6),
      () => {},
    );
  }
}

function describeStarting(id: number): WorkerSnapshot {
  return { id, state: 'starting', queued: 0, running: [], heap: null, cpu: null };
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
