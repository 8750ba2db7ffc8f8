/** Main thread. One worker of a pool, and how it is ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LidoError } from '../contract/errors.js';
import type { Session } from './session.js';

/** How long a worker may take to end that has nothing to finish, and one to come up that is to end in order. Milliseconds. */
const END_PATIENCE_MS = 2000;
/** The same where another is known to be stuck. */
const END_PATIENCE_BESIDE_STUCK_MS = 200;

/** What the pool knows of a session beside what the session knows itself. */
export interface Member {
  readonly session: Session;
  readonly abort: AbortController;
  /** Why it is being ended, where it is ended on purpose. */
  verdict: LidoError | null;
  /** It was ended because it is not needed: nobody takes its place. */
  retired: boolean;
  /** What it ran was answered for, and another took its place, before it ended. */
  abandoned: boolean;
  /** Settles when the worker's task is over, however it ended. */
  ended: Promise<void>;
}

/**
 * Lets workers end; one that still runs a request loses it. An application with an end of its own has `limitMs` for that.
 * Resolves with true when all have ended, with false when one did not in time, which is shorter `besideStuck` ones.
 */
export async function endMembers(
  members: readonly Member[],
  limitMs: number,
  besideStuck: boolean,
): Promise<boolean> {
  const ends = members.map((member) => end(member, limitMs, besideStuck));
  return (await Promise.all(ends)).every((hasEnded) => hasEnded);
}

async function end(member: Member, limitMs: number, besideStuck: boolean): Promise<boolean> {
  const { session, ended } = member;
  const patienceMs = besideStuck ? END_PATIENCE_BESIDE_STUCK_MS : END_PATIENCE_MS;
  // One that still starts does not say before whether it has an end of its own.
  const isUp = await isOverWithin(session.ready, patienceMs);
  askToEnd(member, limitMs);
  return (
    isUp && (await isOverWithin(ended, session.hasEnd && !besideStuck ? limitMs + patienceMs : patienceMs))
  );
}

function askToEnd(member: Member, limitMs: number): void {
  const { session, abort, abandoned } = member;
  if (session.load > 0) member.verdict ??= new LidoError('LIDO_SHUTTING_DOWN');
  if (session.hasEnd && !abandoned) session.close(limitMs);
  else if (member.verdict === null) session.close();
  else abort.abort();
}

/** Whether it settles within so long, in whatever way. */
async function isOverWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const patience = sleep(limitMs, false, { signal: timer.signal }).catch(() => false);
  const over = promise.then(
    () => true,
    () => true,
  );
  return await Promise.race([over, patience]).finally(() => timer.abort());
}
