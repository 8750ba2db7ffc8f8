/** Main thread. Where every worker of a process stands at this moment. */
import type { PythonTask, PythonThread } from '../contract/protocol.js';
import type { WorkerPool } from '../dispatch/pool.js';
import type { Session } from '../dispatch/session.js';
import { findStuckStack } from '../dispatch/stuck-stack.js';
import type { PythonHost } from '../python/host.js';
import type { PythonLook } from '../python/looker.js';
import type { RunningRequest } from './snapshot.js';
import { describeRunning, findRunning } from './worker-inspector.js';

/** Plain data: it goes to the supervisor over a channel, and is what /stacks answers. */
export interface ProcessStacks {
  readonly pid: number;
  /** C code has kept a GIL for a second: the stacks that it leaves unknown are missing. */
  readonly isGilKept: boolean;
  readonly workers: readonly WorkerStack[];
  /** Threads that Python code started itself, and the one that loads applications. */
  readonly threads: readonly OtherThread[];
}

export interface WorkerStack {
  /** Where its application is mounted: '/' or '/shop'. */
  readonly mount: string;
  readonly id: number;
  readonly running: readonly PlacedRequest[];
  /** Of its thread. Python's with the innermost frame last, V8's with it first; '' where there is none, and `reason` says why. */
  readonly stack: string;
  readonly reason: string;
}

export interface PlacedRequest extends RunningRequest {
  /** Where its task waits, in a worker that runs several requests at once; '' where that is not known, or one alone runs. */
  readonly stack: string;
  /** Its task goes on behind its answer: since when it runs is not known. */
  readonly isAnswered: boolean;
}

export interface OtherThread {
  /** '' for a thread without a name. */
  readonly name: string;
  readonly stack: string;
}

/** The parts of one application that is served. */
export interface StackParts {
  readonly mount: string;
  readonly sessions: Iterable<Session>;
  readonly pool: WorkerPool;
  /** Null where it is none of Python's. */
  readonly host: PythonHost | null;
}

/** Where one worker stands. */
export interface Found {
  readonly stack: string;
  readonly reason: string;
  /** What the worker itself says that it runs; null where it does not. */
  readonly request: number | null;
  readonly tasks: readonly PythonTask[];
}

const IDLE = 'idle';
const IN_LIDO = "in Lido's own code";
const BETWEEN = 'in no Python code: it is about to begin with a request, or has just answered one';
const GIL_IS_KEPT = 'not to be told: C code keeps the GIL';

/** `python` is where the threads of the process's first interpreter stand; null where it has none. */
export async function findStacks(
  applications: readonly StackParts[],
  python: PythonLook | null,
): Promise<ProcessStacks> {
  const looks = new Set(python === null ? [] : [python]);
  const claimed = new Set<PythonThread>();
  const finding = applications.flatMap((parts) =>
    [...parts.sessions].map(async (session) => {
      const look = await lookInto(session, parts.host, python);
      if (look !== null) looks.add(look);
      const found =
        look === null ? await lookAtThread(session, parts.pool) : readLook(session, look, claimed);
      return describeWorker(parts.mount, session, found);
    }),
  );
  const workers = await Promise.all(finding);
  const others = [...looks].flatMap(({ threads }) => threads).filter((thread) => !claimed.has(thread));
  return {
    pid: process.pid,
    isGilKept: [...looks].some(({ isGilKept }) => isGilKept),
    workers: workers.sort((one, other) => one.mount.localeCompare(other.mount) || one.id - other.id),
    threads: others.map(({ name, stack }) => ({ name, stack: stack === '' ? `  ${IN_LIDO}\n` : stack })),
  };
}

/** Looks at one worker alone. Never rejects. */
export async function findWorkerStack(
  session: Session,
  pool: WorkerPool,
  host: PythonHost | null,
): Promise<Found> {
  const { interruptTarget } = session;
  if (interruptTarget === null || host === null) return await lookAtThread(session, pool);
  return readLook(session, await host.look(interruptTarget), new Set());
}

/** Null for a JavaScript worker. */
async function lookInto(
  { interruptTarget }: Session,
  host: PythonHost | null,
  python: PythonLook | null,
): Promise<PythonLook | null> {
  if (interruptTarget === null || host === null) return null;
  return interruptTarget.isIsolated ? await host.look(interruptTarget) : python;
}

function readLook(
  session: Session,
  { threads, isGilKept, failure }: PythonLook,
  claimed: Set<PythonThread>,
): Found {
  const thread = threads.find(({ worker }) => worker === session.interruptTarget?.thread);
  if (thread !== undefined) claimed.add(thread);
  if (thread === undefined || isBetweenRequests(thread, session)) {
    if (session.load === 0) return unknown(IDLE);
    return unknown(isGilKept ? GIL_IS_KEPT : failure || BETWEEN);
  }
  const { stack, request } = thread;
  const reason = stack !== '' ? '' : session.runsOne ? IN_LIDO : IDLE;
  return { stack, reason, request: request === 0 ? null : request, tasks: thread.tasks };
}

/** It sleeps within Python until there is one. */
function isBetweenRequests({ stack, request }: PythonThread, { runsOne }: Session): boolean {
  return runsOne && stack === '' && request === 0;
}

async function lookAtThread(session: Session, pool: WorkerPool): Promise<Found> {
  const found = await findStuckStack(pool.findThread(session));
  if (found.stack === '' && session.load === 0) return unknown(IDLE);
  return { ...unknown(found.reason), stack: found.stack };
}

function describeWorker(
  mount: string,
  session: Session,
  { stack, reason, request, tasks }: Found,
): WorkerStack {
  // Requests come and go while one looks: the worker knows best which it was.
  const told = session.exchanges.filter(({ id }) => id === request);
  const running = (told.length > 0 ? told : findRunning(session)).map((exchange) => ({
    ...describeRunning(exchange),
    stack: tasks.find((task) => task.request === exchange.id)?.stack ?? '',
    isAnswered: false,
  }));
  const held = new Set(session.exchanges.map(({ id }) => id));
  const answered = tasks
    .filter(({ request: id }) => !held.has(id))
    .map(({ request: _, ...task }) => ({ ...task, ageMs: 0, isAnswered: true }));
  return { mount, id: session.number, running: [...running, ...answered], stack, reason };
}

function unknown(reason: string): Found {
  return { stack: '', reason, request: null, tasks: [] };
}
