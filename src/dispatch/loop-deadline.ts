/** Main thread. Time-outs where many requests run in one event loop: of each, and of the loop that one of them holds up. */
import { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { PythonHost } from '../python/host.js';
import { INTERRUPT_GRACE_MS, interruptUntilOver } from './interrupt.js';
import type { Loop } from './loop.js';
import type { WorkerPool } from './pool.js';
import type { Session } from './session.js';

export interface LoopDeadlineOptions {
  readonly pool: WorkerPool;
  /** Milliseconds without a sign. */
  readonly timeoutMs: number;
  readonly host: PythonHost | null;
  readonly log: Log;
}

/** A loop that gives no sign for so long is held up: its requests do not come to their turn, and cannot be blamed. Milliseconds. */
const HELD_UP_MS = 1000;

/** The sign by whose number each loop was interrupted last: it is not interrupted for one standstill more than once. */
const interrupted = new WeakMap<Loop, number>();

/** Cancels what is overdue; or interrupts what holds up the loop. To be called several times within the time-out. */
export function checkLoop(options: LoopDeadlineOptions, session: Session, loop: Loop, now: number): void {
  const { timeoutMs } = options;
  if (session.load === 0) {
    loop.rest(now);
    return;
  }
  const stoodMs = loop.look(now);
  if (stoodMs < Math.min(HELD_UP_MS, timeoutMs)) {
    loop.cancelOverdue(now, timeoutMs, new LidoError('LIDO_TIMED_OUT', [timeoutMs / 1000]));
    return;
  }
  loop.forgetSigns();
  if (stoodMs >= timeoutMs && interrupted.get(loop) !== loop.sign) interruptLoop(options, session, loop);
}

/** LidoTimeout is raised in whatever runs; a loop that does not turn a second later is given up, and another takes its place. */
function interruptLoop(options: LoopDeadlineOptions, session: Session, loop: Loop): void {
  const { host, pool, log, timeoutMs } = options;
  const { sign } = loop;
  interrupted.set(loop, sign);
  if (host === null) return;
  const heldUp = new LidoError('LIDO_LOOP_HELD_UP', [timeoutMs / 1000]);
  void interruptUntilOver(host, session, sign, timeoutMs, { log }, heldUp);
  setTimeout(() => {
    if (loop.hasTurned(sign)) return;
    // Its thread is left alone: it ends when the application comes back to the loop.
    session.close();
    pool.abandon(session, new LidoError('LIDO_TIMED_OUT', [timeoutMs / 1000]));
  }, INTERRUPT_GRACE_MS);
}
