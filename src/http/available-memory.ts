/** Main thread. How much memory this process may have: by the machine, by its cgroup, and by V8's own limit. */
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { type CgroupLimit, ROOT, readCgroupLimits } from '../cgroup.js';

const MEMORY: CgroupLimit = {
  controller: 'memory',
  file: 'memory.max',
  oldFiles: ['memory.limit_in_bytes'],
};
/** Version 1 says this where there is no limit: the largest number of whole pages. */
const NO_LIMIT = 2 ** 53;

/**
 * Bytes that the machine has, or that the process's cgroup leaves it: the smallest limit on the way up, for one of a
 * parent holds too. Node's own process.constrainedMemory() looks at one cgroup alone.
 */
export function findAvailableMemory(root: string = ROOT): number {
  const limits = readCgroupLimits(MEMORY, root).map(Number);
  return Math.min(totalmem(), ...limits.filter((limit) => limit > 0 && limit < NO_LIMIT));
}

/** Bytes that V8's heap may grow to, as --max-old-space-size has it where that is set. */
export function findHeapLimit(): number {
  return getHeapStatistics().heap_size_limit;
}
