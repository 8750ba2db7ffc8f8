/** Main thread. A Python file ► the name that it is imported by. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { LidoError } from '../contract/errors.js';

export interface PythonModule {
  readonly module: string;
  /** The directory to import it from. */
  readonly folder: string;
}

/**
 * Names the module of a file, with the packages around it, so that its relative imports work: a package is a directory
 * with an __init__.py, as for Python. The search ends at `root`, which is on sys.path itself. Throws LIDO_NOT_IMPORTABLE for a
 * file that Python cannot import.
 */
export function nameModule(file: string, root: string): PythonModule {
  const own = basename(file, '.py');
  const names = own === '__init__' ? [] : [own];
  let folder = dirname(file);
  while (folder !== root && folder !== dirname(folder) && isFile(join(folder, '__init__.py'))) {
    names.unshift(basename(folder));
    folder = dirname(folder);
  }
  const dotted = names.find((name) => name.includes('.'));
  if (dotted !== undefined)
    throw new LidoError('LIDO_NOT_IMPORTABLE', [
      file,
      'Python takes a dot for the border between a package and a module',
      dotted.replaceAll('.', '_'),
    ]);
  return { module: names.join('.'), folder };
}

/** False for what cannot be looked at too, such as a path through a file. */
export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
