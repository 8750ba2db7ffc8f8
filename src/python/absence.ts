/** Main thread. Why there is no interpreter at a path: for messages. */
import { readlinkSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * The path, and what is wrong with it where that is not simply that nothing is there: a link that leads nowhere, or a place
 * that this user may not reach. An environment's interpreter is a link, mostly into the home of whoever made it.
 */
export function explainAbsence(path: string): string {
  const end = followLinks(path);
  const link = end === path ? path : `${path}, a link to ${end}`;
  if (isRefused(end)) return `${link}, which ${describeUser()} may not reach`;
  return end === path ? path : `${link}, which is not there`;
}

/** As many as the kernel follows. */
const MAX_LINKS = 40;

function followLinks(path: string): string {
  let end = path;
  for (let left = MAX_LINKS; left > 0; left -= 1) {
    const target = readLink(end);
    if (target === null) return end;
    end = resolve(dirname(end), target);
  }
  return end;
}

/** Null for what is no link, or cannot be looked at. */
function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function isRefused(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

function describeUser(): string {
  const uid = process.getuid?.();
  return uid === undefined ? 'this user' : `user ${uid}`;
}
