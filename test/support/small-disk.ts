// A file system of 1 MiB, for tests of what happens when a disk is full.
import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { makeFolder } from './command.js';

/** Only root may, and not in every container. */
export function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Its directory; it goes with the test. */
export function mountSmall(): string {
  const directory = makeFolder({});
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', directory]);
  });
  return directory;
}
