/** Main thread. How much memory this process may have: by the machine, by its cgroup, and by V8's own limit. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { posix } from 'node:path';
import { getHeapStatistics } from 'node:v8';

/** Where Linux tells it; another folder in tests. */
const ROOT = '/';

/** Version 1 says this where there is no limit: the largest number of whole pages. */
const NO_LIMIT = 2 ** 53;

/**
 * Bytes that the machine has, or that the process's cgroup leaves it: the smallest limit on the way up, for one of a
 * parent holds too. Node's own process.constrainedMemory() looks at one cgroup alone.
 */
export function findAvailableMemory(root: string = ROOT): number {
  return Math.min(totalmem(), ...readCgroupLimits(root));
}

/** Bytes that V8's heap may grow to, as --max-old-space-size has it where that is set. */
export function findHeapLimit(): number {
  return getHeapStatistics().heap_size_limit;
}

/** /proc/self/cgroup names one cgroup a line, "ID:CONTROLLERS:PATH"; version 2 has ID 0 and no controllers. */
function readCgroupLimits(root: string): number[] {
  return readLines(posix.join(root, 'proc/self/cgroup')).flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return readUpwards(root, 'sys/fs/cgroup', path, 'memory.max');
    if (!controllers.split(',').includes('memory')) return [];
    return readUpwards(root, 'sys/fs/cgroup/memory', path, 'memory.limit_in_bytes');
  });
}

/** A container may see its own cgroup at the top, while the path is the host's: folders that are not there say nothing. */
function readUpwards(root: string, mount: string, path: string, file: string): number[] {
  const limits: number[] = [];
  for (let folder = posix.join('/', path); ; folder = posix.dirname(folder)) {
    const [text = ''] = readLines(posix.join(root, mount, folder, file));
    const limit = Number(text);
    if (text !== '' && limit > 0 && limit < NO_LIMIT) limits.push(limit);
    if (folder === '/') return limits;
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n');
  } catch {
    return [];
  }
}
