/**
 * Main thread. Where the thread of a JavaScript worker stands: a profile of some milliseconds, which V8 takes in the midst
 * of a loop. It does not pause the thread, as an inspector would: a paused thread cannot be ended.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { describe } from '../contract/errors.js';
import { canProfileAlone, type Profile, type ProfileNode, startProfileAlone } from './thread-profile.js';

/** V8 looks every millisecond in which the thread has a processor: there may be none for the first profile. */
const SAMPLING_MS = [50, 200];
/** The first sample is where the profile began, and has no line. */
const ENOUGH_SAMPLES = 3;
/** A thread that is in native code begins no profile before it is back. */
const PATIENCE_MS = 1000;

const ENDED = 'its thread has ended';
/** V8 knows an ES module by its URL, and what is CommonJS by its path. */
const OWN_FOLDER = new URL('../../workers/', import.meta.url);
const OWN_CODE = [OWN_FOLDER.href, fileURLToPath(OWN_FOLDER)];

/** Where the thread stood: `stack` is '' where that cannot be told, and `reason` says why. */
export interface StuckStack {
  readonly stack: string;
  readonly reason: string;
}

/** Looks where the thread stands. Takes about 100 ms, a second at most; never rejects, and leaves the thread as it is. */
export async function findStuckStack(thread: Worker | undefined): Promise<StuckStack> {
  if (thread === undefined) return unknown(ENDED);
  if (!canProfileAlone(thread)) return unknown(`Node.js ${process.versions.node} cannot tell`);
  const late = pause(PATIENCE_MS, null, { ref: false });
  let found = unknown('V8 had no look at it within a second, so it is most likely in native code');
  try {
    for (const samplingMs of SAMPLING_MS) {
      const profile = await Promise.race([takeProfile(thread, samplingMs), late]);
      if (profile === null) break;
      found = readProfile(profile);
      if (profile.samples.length >= ENOUGH_SAMPLES) break;
    }
  } catch (error) {
    const hasEnded = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_NOT_RUNNING';
    if (found.stack === '') found = unknown(hasEnded ? ENDED : describe(error));
  }
  return found;
}

async function takeProfile(thread: Worker, samplingMs: number): Promise<Profile> {
  const running = await startProfileAlone(thread);
  await pause(samplingMs, undefined, { ref: false });
  return await running.stop();
}

/** The place that was seen most often. */
function readProfile({ nodes, samples }: Profile): StuckStack {
  const parents = new Map<number, ProfileNode>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  const times = new Map<number, number>();
  for (const id of samples) times.set(id, (times.get(id) ?? 0) + 1);
  const seen = nodes.filter(({ id }) => times.has(id));
  // A thread that is idle between two looks is not stuck: the application waits for a promise.
  if (seen.some(({ callFrame }) => callFrame.functionName === '(idle)'))
    return unknown('its thread is idle, so it waits for something');
  seen.sort((first, second) => (times.get(second.id) ?? 0) - (times.get(first.id) ?? 0));
  for (const innermost of seen) {
    const stack = formatStack(innermost, parents);
    if (stack !== '') return { stack, reason: '' };
  }
  const caller = seen.find(({ callFrame }) => callFrame.url !== '');
  if (caller === undefined) return unknown('V8 saw no function of it');
  // V8's profiles know nothing of code that was optimized while it ran: they show the function that called it.
  const isOurs = isOwnCode(caller.callFrame.url);
  return unknown(
    `it loops in ${isOurs ? 'the very function that Lido called' : 'a function'}, which V8 does not show`,
  );
}

/** From the innermost function to the outermost of the application; '' where it has none. */
function formatStack(innermost: ProfileNode, parents: ReadonlyMap<number, ProfileNode>): string {
  const lines: string[] = [];
  let count = 0;
  for (let node: ProfileNode | undefined = innermost; node !== undefined; node = parents.get(node.id)) {
    const { url } = node.callFrame;
    // What has no file is V8's own: the garbage collector, the root.
    if (url === '') continue;
    lines.push(formatFrame(node, node === innermost));
    if (!url.startsWith('node:') && !isOwnCode(url)) count = lines.length;
  }
  return lines.slice(0, count).join('\n');
}

function isOwnCode(url: string): boolean {
  return OWN_CODE.some((folder) => url.startsWith(folder));
}

/** As in an error's stack, but only the innermost function's line is known: of the others it is where they begin. */
function formatFrame({ callFrame, positionTicks = [] }: ProfileNode, isInnermost: boolean): string {
  const name = callFrame.functionName || '(anonymous)';
  const [busiest] = isInnermost ? [...positionTicks].sort((first, second) => second.ticks - first.ticks) : [];
  if (busiest !== undefined) return `    at ${name} (${callFrame.url}:${busiest.line})`;
  // A module's own code begins nowhere.
  const begin = callFrame.lineNumber < 0 ? '' : `:${callFrame.lineNumber + 1}`;
  return `    in ${name} (${callFrame.url}${begin})`;
}

function unknown(reason: string): StuckStack {
  return { stack: '', reason };
}
