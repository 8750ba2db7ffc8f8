/** Main thread. The file that tells which process takes signals. */
import { readFileSync, rmSync } from 'node:fs';
import { LidoError } from '../contract/errors.js';
import { replaceFile } from './replace-file.js';

/**
 * Writes this process's id, and returns what removes the file. Throws LIDO_ALREADY_RUNNING where a process runs that the
 * file names, unless it is the `predecessor`; LIDO_FILE_NOT_WRITTEN. Does nothing for null.
 */
export function writePidfile(path: string | null, predecessor: number | null = null): () => void {
  if (path === null) return () => {};
  const known = readPid(path);
  if (known !== null && known !== process.pid && known !== predecessor && isRunning(known))
    throw new LidoError('LIDO_ALREADY_RUNNING', [path, known]);
  replaceFile(path, `${process.pid}\n`);
  // Another server may have taken its place.
  return () => {
    if (readPid(path) === process.pid) rmSync(path, { force: true });
  };
}

/** Null where there is no file, or no number in it. */
export function readPid(path: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
