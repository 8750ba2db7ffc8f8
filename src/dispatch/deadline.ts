/** Main thread. Ends requests whose application takes longer than the time-out. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LidoError } from '../contract/errors.js';
import type { PythonHost } from '../python/host.js';
import type { Dispatcher } from './dispatcher.js';
import type { Exchange } from './exchange.js';
import type { WorkerPool } from './pool.js';
import type { Session } from './session.js';
import { findStuckStack } from './stuck-stack.js';

export interface DeadlineOptions {
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  /** Milliseconds without a sign of the application; 0 for no limit. */
  readonly timeoutMs: number;
  /** Where the application is Python's: a thread inside Python is interrupted, never ended. */
  readonly host: PythonHost | null;
  readonly log: Logger;
}

const LONGEST_CHECK_MS = 250;
/** How long an interrupted Python application has to come back before its worker is given up. */
const INTERRUPT_GRACE_MS = 1000;

/** Looks at what runs several times within the time-out. Returns a function that stops it. */
export function watchDeadlines(options: DeadlineOptions): () => void {
  const { dispatcher, timeoutMs } = options;
  if (timeoutMs === 0) return () => {};
  const interrupted = new WeakSet<Exchange>();
  const check = () => {
    const now = performance.now();
    for (const session of [...dispatcher.sessions]) {
      const exchange = session.findOverdue(now, timeoutMs);
      if (exchange === null || interrupted.has(exchange)) continue;
      interrupted.add(exchange);
      endRequest(options, session, exchange);
    }
  };
  const timer = setInterval(check, Math.min(LONGEST_CHECK_MS, Math.max(10, timeoutMs / 8)));
  timer.unref();
  return () => clearInterval(timer);
}

function endRequest(options: DeadlineOptions, session: Session, exchange: Exchange): void {
  const { pool, host, timeoutMs } = options;
  const verdict = new LidoError('LIDO_TIMED_OUT', [timeoutMs / 1000]);
  if (host === null) {
    void endThread(pool, session, exchange, verdict);
    return;
  }
  void interruptUntilOver(host, session, exchange, timeoutMs, (stack) => {
    if (stack !== '') logPlace(exchange, verdict, 'it stood here', stack);
  });
  setTimeout(() => {
    if (exchange.holder !== session) return;
    // Its thread is left alone: it ends when the application comes back to Lido.
    session.close();
    pool.abandon(session, verdict);
  }, INTERRUPT_GRACE_MS);
}

/** The client is answered and another worker takes over before anybody looks where this one stands. */
async function endThread(
  pool: WorkerPool,
  session: Session,
  exchange: Exchange,
  verdict: LidoError,
): Promise<void> {
  const thread = pool.findThread(session);
  pool.abandon(session, verdict);
  const { stack, reason } = await findStuckStack(thread);
  pool.endThread(session);
  // An asynchronous application may run several requests in one thread, and any of them may be the one that stands there.
  if (stack !== '') logPlace(exchange, verdict, 'its thread stood here', stack);
  else logPlace(exchange, verdict, `where it stood is not known: ${reason}`);
}

/**
 * What swallows the exception, or begins anew in a finally clause, is interrupted again after each further time-out: its
 * thread would take time under the GIL from all others for ever, though it was given up.
 */
async function interruptUntilOver(
  host: PythonHost,
  session: Session,
  exchange: Exchange,
  timeoutMs: number,
  show: (stack: string) => void,
): Promise<void> {
  const { interruptTarget: target } = session;
  if (target === null) return;
  const keptOut = (stacks: string) => declareStuck(host, exchange, stacks);
  let stack = await host.interrupt(target, exchange.id, keptOut);
  show(stack);
  while (stack !== '') {
    await pause(Math.max(INTERRUPT_GRACE_MS, timeoutMs), undefined, { ref: false });
    stack = await host.interrupt(target, exchange.id, keptOut);
  }
}

/** A request for the GIL that nobody answers tells that no other thread goes on either: this process's Python is lost. */
function declareStuck(host: PythonHost, exchange: Exchange, stacks: string): void {
  const error = new LidoError('LIDO_PYTHON_STUCK', ['a call into C keeps the GIL']);
  if (stacks === '') logPlace(exchange, error, 'where it stands cannot be told');
  else logPlace(exchange, error, 'this is what runs', stacks);
  host.emit('stuck', error);
}

function logPlace(
  { names, log }: Exchange,
  { code, message }: LidoError,
  place: string,
  traceback?: string,
): void {
  log.error({ ...names, code, traceback }, `${message}; ${place}`);
}
