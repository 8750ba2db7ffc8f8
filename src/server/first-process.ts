/**
 * Main thread of the supervisor, where that is a container's first process. The system gives such a process the orphans: programs whose
 * parent has ended before them, as those that an application starts with `&` or as daemons. When they end, somebody has to ask how, or
 * they stay in the table of processes until that is full. Every init does so, and so does gunicorn; Node.js asks for its own children alone.
 */
import { readFileSync } from 'node:fs';

/** Between two looks. Milliseconds. */
const INTERVAL_MS = 2000;

/** Begins to look after them, where this process is the first; does nothing elsewhere. */
export function collectOrphans(): void {
  if (process.pid !== 1) return;
  let before = new Set<number>();
  const look = async () => {
    const ended = findEnded();
    before = new Set(await collect(ended, before));
  };
  setInterval(() => void look(), INTERVAL_MS).unref();
}

/**
 * Collects those that had ended at the look before already, and returns the others. Node.js collects its own children in the turn of
 * the event loop in which they end, so that what it has left by the next look is not among them.
 */
async function collect(ended: readonly number[], before: ReadonlySet<number>): Promise<readonly number[]> {
  const orphans = ended.filter((pid) => before.has(pid));
  if (orphans.length === 0) return ended;
  const { collectChild } = await import('../system-calls.js');
  for (const pid of orphans) collectChild(pid);
  return ended.filter((pid) => !before.has(pid));
}

/** The children of this process that have ended, and that nobody has asked for. */
function findEnded(): number[] {
  const children = readProc('self/task/1/children')
    .split(' ')
    .filter((pid) => pid !== '');
  return children.filter((pid) => /^\d+ \(.*\) Z/s.test(readProc(`${pid}/stat`))).map(Number);
}

/** Empty where there is none: a process may end at any time, and not every kernel lists children. */
function readProc(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'latin1');
  } catch {
    return '';
  }
}
