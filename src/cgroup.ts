/** What Linux allows the control group that this process is in: read anew each time, from the group and those around it. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** Where Linux tells it; another folder in tests. */
export const ROOT = '/';

/** Where a limit stands in either version of cgroups. */
export interface CgroupLimit {
  /** The controller of version 1: 'memory'. */
  readonly controller: string;
  /** Its file in version 2, such as 'memory.max'. */
  readonly file: string;
  /** Its files in version 1, whose words are joined by a space. */
  readonly oldFiles: readonly string[];
}

/**
 * What the files say, from the process's own group up to the topmost: a limit of a parent holds too. /proc/self/cgroup names
 * one group a line, "ID:CONTROLLERS:PATH"; version 2 has ID 0 and no controllers. cgroups(7)
 */
export function readCgroupLimits(
  { controller, file, oldFiles }: CgroupLimit,
  root: string,
): readonly string[] {
  return readText(posix.join(root, 'proc/self/cgroup'))
    .split('\n')
    .flatMap((line) => {
      const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === '') return readUpwards(posix.join(root, 'sys/fs/cgroup'), path, [file]);
      if (!controllers.split(',').includes(controller)) return [];
      return readUpwards(posix.join(root, 'sys/fs/cgroup', controller), path, oldFiles);
    });
}

/** A container may see its own group at the top, while the path is the host's: folders that are not there say nothing. */
function readUpwards(mount: string, path: string, files: readonly string[]): string[] {
  const found: string[] = [];
  for (let folder = posix.join('/', path); ; folder = posix.dirname(folder)) {
    const text = files.map((file) => readText(posix.join(mount, folder, file)).trim()).join(' ');
    if (text.trim() !== '') found.push(text);
    if (folder === '/') return found;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
