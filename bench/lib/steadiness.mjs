/**
 * Whether the machine is itself. A virtual machine shares its cores and caches with others: the same program may need twice the
 * time from one minute to the next, and no counter says so. A known piece of work on all cores at once does.
 */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { results } from './paths.mjs';

/** So much longer than in its best time the work may take: it varies by a third on a machine that nobody disturbs. */
const TOLERANCE = 1.5;
/** It is done so often, and the best counts: something else may run for a moment. */
const LOOKS = 3;
const PAUSE_MS = 250;
/** Milliseconds that are waited for a machine to become itself, and how often a window is measured at most. */
const PATIENCE_MS = 20_000;
const MOST_WINDOWS = 3;

/** The best of all runs on this machine: a run may begin while it is not itself. */
const BEST_FILE = `${results}/steadiness.json`;

let best = readBest();

/** Figures of a window that the machine was itself before and after, with `disturbed`: false; or, in the end, of one that it was not. */
export async function measureSteadily(measureOnce) {
  for (let window = 1; ; window++) {
    const before = await awaitSteadiness();
    const figures = await measureOnce();
    const disturbed = !before || !(await isSteady());
    if (!disturbed || window === MOST_WINDOWS) return { ...figures, disturbed };
  }
}

async function awaitSteadiness() {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    if (await isSteady()) return true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}

async function isSteady() {
  let took = Number.POSITIVE_INFINITY;
  for (let look = 0; look < LOOKS; look++) took = Math.min(took, await work());
  if (took < best) keepBest(took);
  return took <= best * TOLERANCE;
}

function readBest() {
  try {
    return JSON.parse(readFileSync(BEST_FILE, 'utf8')).milliseconds;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function keepBest(milliseconds) {
  best = milliseconds;
  mkdirSync(results, { recursive: true });
  writeFileSync(BEST_FILE, `${JSON.stringify({ milliseconds })}\n`);
}

let threads = null;

/** Milliseconds that it takes the slowest core. */
async function work() {
  threads ??= Array.from({ length: availableParallelism() }, startThread);
  return Math.max(...(await Promise.all(threads.map(burn))));
}

function startThread() {
  const thread = new Worker(new URL('./steadiness-thread.mjs', import.meta.url));
  thread.unref();
  return thread;
}

async function burn(thread) {
  thread.postMessage(null);
  const [milliseconds] = await once(thread, 'message');
  return milliseconds;
}
