/** Main thread. A small file that others read at any moment, written so that none of them ever meets half of it. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe, LidoError } from '../contract/errors.js';

/** Puts `text` at `path` in one step, readable by all. Throws LIDO_FILE_NOT_WRITTEN, and leaves what was there. */
export function replaceFile(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, text, { mode: 0o644 });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new LidoError('LIDO_FILE_NOT_WRITTEN', [path, describe(error)], { cause: error });
  }
}
