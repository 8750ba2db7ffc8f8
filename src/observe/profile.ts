/** Main thread. A profile of what a worker does, for speedscope or for the developer tools of Chrome. */
import { setTimeout as pause } from 'node:timers/promises';
import { describe } from '../contract/errors.js';
import type { Session } from '../dispatch/session.js';
import { startProfile } from '../dispatch/thread-profile.js';
import type { StackParts } from './stacks.js';

export const MAX_PROFILE_SECONDS = 120;

/** Plain data: it goes to a process over a channel. */
export interface ProfileRequest {
  /** The process that is meant: all others answer null. */
  readonly pid: number;
  readonly seconds: number;
  /** Null for the one that is busy; of threads that share a Python, for all of them. */
  readonly worker: number | null;
  readonly mount: string | null;
}

/** A file, or why there is none. */
export type ProfileAnswer =
  | { readonly name: string; readonly content: string }
  | { readonly failure: string };

interface Candidate extends StackParts {
  readonly session: Session;
}

/** Resolves with null in another process than the one that is meant. Never rejects. */
export async function takeProfile(
  applications: readonly StackParts[],
  request: ProfileRequest,
): Promise<ProfileAnswer | null> {
  if (request.pid !== process.pid) return null;
  const candidate = findCandidate(applications, request);
  if (candidate === null) return { failure: 'there is no such worker' };
  try {
    return await profileCandidate(candidate, request);
  } catch (error) {
    return { failure: describe(error) };
  }
}

/** The worker that is named, or the busiest. */
function findCandidate(
  applications: readonly StackParts[],
  { worker, mount }: ProfileRequest,
): Candidate | null {
  const candidates = applications
    .filter((parts) => mount === null || parts.mount === mount)
    .flatMap((parts) => [...parts.sessions].map((session) => ({ ...parts, session })))
    .filter(({ session }) => worker === null || session.number === worker);
  const order = (one: Candidate, other: Candidate) =>
    other.session.load - one.session.load || other.session.lastUsed - one.session.lastUsed;
  return candidates.sort(order)[0] ?? null;
}

async function profileCandidate(
  { session, host, pool }: Candidate,
  { seconds, worker }: ProfileRequest,
): Promise<ProfileAnswer> {
  const { interruptTarget: target } = session;
  if (host !== null && target !== null) {
    const isAll = worker === null && !target.isIsolated;
    const content = await host.profile(target, seconds, isAll ? 0 : target.thread);
    return { name: nameFile(isAll ? null : session.number, 'speedscope.json'), content };
  }
  const thread = pool.findThread(session);
  if (thread === undefined) return { failure: 'its thread has ended' };
  const running = await startProfile(thread);
  await pause(seconds * 1000, undefined, { ref: false });
  const profile = await running.stop();
  return { name: nameFile(session.number, 'cpuprofile'), content: JSON.stringify(profile) };
}

/** "lido-4242-worker3-20261121T140419.cpuprofile" */
function nameFile(worker: number | null, ending: string): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+Z$/g, '');
  return `lido-${process.pid}${worker === null ? '' : `-worker${worker}`}-${time}.${ending}`;
}
