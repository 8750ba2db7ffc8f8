// Files as Linux has them, in a folder of the test's own.
import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { findAvailableCores } from '../../../dist/src/application/available-cores.js';
import { makeFolder } from '../../support/command.js';

const all = availableParallelism();
const V2 = 'sys/fs/cgroup';
const V1 = 'sys/fs/cgroup/cpu';

it.each<[string, Record<string, string>, number]>([
  ['nothing is said', {}, all],
  ['version 2 has no limit', { 'proc/self/cgroup': '0::/a\n', [`${V2}/a/cpu.max`]: 'max 100000\n' }, all],
  ['half a core is allowed', { 'proc/self/cgroup': '0::/a\n', [`${V2}/a/cpu.max`]: '50000 100000\n' }, 1],
  [
    'more is allowed than there is',
    { 'proc/self/cgroup': '0::/a\n', [`${V2}/a/cpu.max`]: '9900000 100000\n' },
    all,
  ],
  [
    'a parent allows less',
    { 'proc/self/cgroup': '0::/pod/a\n', [`${V2}/pod/a/cpu.max`]: 'max 1\n', [`${V2}/pod/cpu.max`]: '1 1\n' },
    1,
  ],
  ['a container sees itself at the top', { 'proc/self/cgroup': '0::/x\n', [`${V2}/cpu.max`]: '9 10' }, 1],
  [
    'version 1 has a limit',
    {
      'proc/self/cgroup': '4:cpu,cpuacct:/a\n3:memory:/b\n',
      [`${V1}/a/cpu.cfs_quota_us`]: '20000\n',
      [`${V1}/a/cpu.cfs_period_us`]: '100000\n',
    },
    1,
  ],
  [
    'version 1 has none',
    {
      'proc/self/cgroup': '4:cpu,cpuacct:/a\n',
      [`${V1}/a/cpu.cfs_quota_us`]: '-1\n',
      [`${V1}/a/cpu.cfs_period_us`]: '100000\n',
    },
    all,
  ],
])('%s', (_what, files, cores) => {
  expect(findAvailableCores(makeFolder(files))).toBe(cores);
});
