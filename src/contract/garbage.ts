/** Any thread. Large bodies leave buffers behind that lie outside V8's heap, which V8 collects late. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8 itself waits for 64 MiB of such memory in each thread; a minor collection takes well under a millisecond. */
const COLLECT_EVERY = 8 * 1024 * 1024;

let uncollected = 0;
let collect: ((options: { type: 'minor' }) => void) | null = null;

/** Counts bytes of buffers that are about to become garbage, and collects them when they are many. */
export function countGarbage(bytes: number): void {
  uncollected += bytes;
  if (uncollected < COLLECT_EVERY) return;
  uncollected = 0;
  collect ??= findCollector();
  collect({ type: 'minor' });
}

/** The only way to V8's collector that needs no flag on the command line. */
function findCollector(): (options: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc');
  const collector = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  // With other flags than Node.js was built with, each thread that begins later would compile Node's own code anew.
  setFlagsFromString('--no-expose-gc');
  return collector;
}
