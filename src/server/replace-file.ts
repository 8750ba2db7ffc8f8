/** Main thread. A small file that others read at any moment, written so that none of them ever meets half of it. */
import { realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, LidoError } from '../contract/errors.js';

/** Puts `text` at `path` in one step, readable by all. Throws LIDO_FILE_NOT_WRITTEN, and leaves what was there. */
export function replaceFile(path: string, text: string): void {
  let draft: string | null = null;
  try {
    const target = findTarget(path);
    draft = `${target}.${process.pid}`;
    writeFileSync(draft, text, { mode: 0o644 });
    renameSync(draft, target);
  } catch (error) {
    if (draft !== null) rmSync(draft, { force: true });
    throw new LidoError('LIDO_FILE_NOT_WRITTEN', [path, describe(error)], { cause: error });
  }
}

/** A link stays a link. Throws where something is that is no file: a rename would put one in the place of /dev/null. */
function findTarget(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return path;
  if (!found.isFile()) throw new Error('it is there, and no file');
  return realpathSync.native(path);
}
