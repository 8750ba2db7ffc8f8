/** Main thread. How many cores this process may use: by the machine, by its affinity, and by its cgroup. */
import { availableParallelism } from 'node:os';
import { type CgroupLimit, ROOT, readCgroupLimits } from '../cgroup.js';

/** Microseconds of processor time in each period, and the period: "50000 100000" is half a core, "max 100000" no limit. */
const CPU: CgroupLimit = {
  controller: 'cpu',
  file: 'cpu.max',
  oldFiles: ['cpu.cfs_quota_us', 'cpu.cfs_period_us'],
};

/**
 * At least 1. Node's own availableParallelism() knows of no cgroup before 24: a container with half a core on a machine of
 * 64 would get 64 workers. A part of a core counts as one, for who gets 1.5 can keep two workers busy.
 */
export function findAvailableCores(root: string = ROOT): number {
  const limits = readCgroupLimits(CPU, root).map((text) => {
    const [quota, period] = text.split(/\s+/).map(Number);
    return Math.ceil((quota ?? 0) / (period ?? 0));
  });
  return Math.min(availableParallelism(), ...limits.filter((cores) => cores >= 1));
}
