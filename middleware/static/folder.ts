/** PATH_INFO ► a file within a folder. */
import { realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Found =
  | { readonly kind: 'file'; readonly path: string }
  /** A folder that was asked for without the slash at its end. */
  | { readonly kind: 'folder' }
  | { readonly kind: 'nothing' };

export interface FolderOptions {
  readonly index: string | false;
  readonly dotFiles: boolean;
}

const NOTHING: Found = { kind: 'nothing' };

/** Throws when there is no such folder. */
export function openFolder(folder: string | URL, options: FolderOptions): (pathInfo: string) => Found {
  const root = realpathSync(typeof folder === 'string' ? folder : fileURLToPath(folder));
  return (pathInfo) => {
    const relative = readPath(pathInfo, options.dotFiles);
    return relative === null ? NOTHING : find(root, relative, options);
  };
}

/** Null for what no file of the folder is called. */
function readPath(pathInfo: string, dotFiles: boolean): string | null {
  const path = Buffer.from(pathInfo, 'latin1').toString();
  if (path.includes('\0') || (sep === '\\' && path.includes('\\'))) return null;
  const names = path.split('/');
  const isHidden = (name: string) => name === '.' || name === '..' || (name.startsWith('.') && !dotFiles);
  return names.some(isHidden) ? null : path;
}

function find(root: string, relative: string, { index }: FolderOptions): Found {
  const path = resolve(root, relative);
  if (path === null) return NOTHING;
  const isFolder = statSync(path).isDirectory();
  const hasSlash = relative === '' || relative.endsWith('/');
  if (!isFolder) return hasSlash || !statSync(path).isFile() ? NOTHING : { kind: 'file', path };
  if (index === false) return NOTHING;
  if (!hasSlash || relative === '') return { kind: 'folder' };
  const file = resolve(root, join(relative, index));
  return file === null || !statSync(file).isFile() ? NOTHING : { kind: 'file', path: file };
}

/** Follows links; null where that leads to nothing, or out of the folder. */
function resolve(root: string, relative: string): string | null {
  try {
    const path = realpathSync(join(root, relative));
    const start = root.endsWith(sep) ? root : root + sep;
    return path === root || path.startsWith(start) ? path : null;
  } catch {
    return null;
  }
}
