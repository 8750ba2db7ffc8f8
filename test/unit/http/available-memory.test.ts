// Files as Linux has them, in a folder of the test's own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findAvailableMemory, findHeapLimit } from '../../../dist/src/http/available-memory.js';
import { makeFolder } from '../../support/command.js';

function makeRoot(files: Record<string, string>): string {
  const root = makeFolder({});
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const MiB = 2 ** 20;

describe('the memory that there is', () => {
  it.each([
    ['nothing is said', {}, totalmem()],
    [
      'version 2 has a limit',
      { 'proc/self/cgroup': '0::/app\n', 'sys/fs/cgroup/app/memory.max': `${512 * MiB}\n` },
      512 * MiB,
    ],
    [
      'a parent of it has a smaller one',
      {
        'proc/self/cgroup': '0::/pod/app\n',
        'sys/fs/cgroup/pod/app/memory.max': 'max\n',
        'sys/fs/cgroup/pod/memory.max': `${64 * MiB}\n`,
      },
      64 * MiB,
    ],
    [
      'a container sees its own cgroup at the top',
      { 'proc/self/cgroup': '0::/docker/0a1b\n', 'sys/fs/cgroup/memory.max': `${256 * MiB}\n` },
      256 * MiB,
    ],
    [
      'version 1 has a limit',
      {
        'proc/self/cgroup': '5:cpu,cpuacct:/\n4:memory:/app\n0::/\n',
        'sys/fs/cgroup/memory/app/memory.limit_in_bytes': `${128 * MiB}\n`,
        'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      },
      128 * MiB,
    ],
    [
      'version 1 has none',
      {
        'proc/self/cgroup': '4:memory:/\n',
        'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      },
      totalmem(),
    ],
    [
      'what it says is no number',
      { 'proc/self/cgroup': '0::/\nnonsense\n', 'sys/fs/cgroup/memory.max': 'many\n' },
      totalmem(),
    ],
  ])('is found where %s', (_name, files, expected) => {
    expect(findAvailableMemory(makeRoot(files as Record<string, string>))).toBe(expected);
  });

  it("is V8's own limit for what lies in its heap", () => {
    expect(findHeapLimit()).toBeGreaterThan(16 * MiB);
  });
});
