/** Main thread. MODULE:CALLABLE ► where the application is. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, delimiter, dirname, extname, join, relative, resolve } from 'node:path';
import { LidoError } from './errors.js';
import { nearest } from './nearest.js';
import type { Settings } from './options.js';
import type { ApplicationSpec } from './protocol.js';
import { findPython } from './python.js';

const JAVASCRIPT = ['.js', '.mjs', '.cjs', '.ts', '.mts'];
const PYTHON = ['.py'];

type Found = { readonly runtime: 'javascript' | 'cpython'; readonly file: string };

/** Finds what `settings.application` names, seen from the working directory. Throws LIDO_101, 103, 201 or 30x. */
export async function resolveApplication(settings: Settings): Promise<ApplicationSpec> {
  const folder = process.cwd();
  const spec = settings.application;
  if (spec === null || spec === '') throw new LidoError('LIDO_101');
  const { module, callable } = splitSpec(spec);
  const found = chooseRuntime(findModule(module, folder), module, settings, folder);
  if (found.runtime === 'javascript') return { runtime: 'javascript', file: found.file, callable, spec };
  return {
    runtime: 'cpython',
    ...describePythonModule(found.file, module, folder),
    callable,
    spec,
    python: await findPython(settings.python, folder),
    interpreter: 'shared',
    path: [
      ...pythonFolders(found.file, module, folder),
      ...settings.pythonpath
        .flatMap((entry) => entry.split(delimiter))
        .map((entry) => resolve(folder, entry)),
      folder,
    ],
  };
}

function splitSpec(spec: string): { module: string; callable: string | null } {
  const colon = spec.indexOf(':');
  if (colon < 0) return { module: spec, callable: null };
  const callable = spec.slice(colon + 1);
  return { module: spec.slice(0, colon), callable: callable === '' ? null : callable };
}

/** Every file that the module's name may mean: a path, a path without its extension, a dotted name. */
function findModule(module: string, folder: string): Found[] {
  const path = resolve(folder, module);
  const extension = extname(module);
  if (JAVASCRIPT.includes(extension)) return isFile(path) ? [{ runtime: 'javascript', file: path }] : [];
  if (PYTHON.includes(extension)) return isFile(path) ? [{ runtime: 'cpython', file: path }] : [];
  const dotted = resolve(folder, module.replaceAll('.', '/'));
  const javascript = [...new Set([path, dotted])].flatMap((base) =>
    JAVASCRIPT.map((ending) => base + ending),
  );
  const python = [...new Set([path, dotted])].flatMap((base) => [`${base}.py`, join(base, '__init__.py')]);
  return [
    ...javascript.filter(isFile).map((file): Found => ({ runtime: 'javascript', file })),
    ...python.filter(isFile).map((file): Found => ({ runtime: 'cpython', file })),
  ];
}

function chooseRuntime(
  candidates: readonly Found[],
  module: string,
  settings: Settings,
  folder: string,
): Found {
  const wanted = candidates.filter(
    ({ runtime }) => settings.runtime === 'auto' || settings.runtime === runtime,
  );
  const [first] = wanted;
  if (first === undefined) return findInstalled(candidates, module, settings, folder);
  const other = wanted.find(({ runtime }) => runtime !== first.runtime);
  if (other !== undefined)
    throw new LidoError('LIDO_103', [relative(folder, first.file), relative(folder, other.file)]);
  return first;
}

/** A dotted name that is no file here may still be a module that Python finds by itself, such as an installed package. */
function findInstalled(
  candidates: readonly Found[],
  module: string,
  settings: Settings,
  folder: string,
): Found {
  const isName = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(module);
  const namesPython =
    settings.runtime === 'cpython' || settings.python !== null || settings.pythonpath.length > 0;
  const mayBeInstalled =
    isName &&
    candidates.length === 0 &&
    settings.runtime !== 'javascript' &&
    (namesPython || module.includes('.'));
  if (mayBeInstalled && !JAVASCRIPT.includes(extname(module)) && extname(module) !== '.py')
    return { runtime: 'cpython', file: '' };
  throw new LidoError('LIDO_201', [module, describeSearch(candidates, module, settings, folder)]);
}

function describeSearch(
  candidates: readonly Found[],
  module: string,
  settings: Settings,
  folder: string,
): string {
  if (candidates.length > 0) {
    return `--runtime ${settings.runtime}, but found ${candidates.map(({ file }) => relative(folder, file)).join(', ')}`;
  }
  const path = resolve(folder, module);
  const looked =
    extname(module) === '' || !existsSync(dirname(path))
      ? `${module}.js, .mjs, .cjs, .ts, .mts, .py`
      : module;
  const similar = findSimilar(path);
  return `${looked} in ${folder}${similar === null ? '' : `; did you mean ${relative(folder, similar)}?`}`;
}

function findSimilar(path: string): string | null {
  const parent = dirname(path);
  if (!existsSync(parent)) return null;
  const files = readdirSync(parent).filter((name) => [...JAVASCRIPT, ...PYTHON].includes(extname(name)));
  const name = basename(path, extname(path));
  const near = nearest(
    name,
    files.map((file) => basename(file, extname(file))),
  );
  const file = files.find((candidate) => basename(candidate, extname(candidate)) === near);
  return file === undefined ? null : join(parent, file);
}

/** A dotted name is imported as it is; a path is imported by its file's name, from its directory. */
function describePythonModule(file: string, module: string, folder: string): { module: string } {
  if (isDottedName(file, module, folder)) return { module };
  return { module: basename(file) === '__init__.py' ? basename(dirname(file)) : basename(file, '.py') };
}

function pythonFolders(file: string, module: string, folder: string): string[] {
  if (isDottedName(file, module, folder)) return [];
  return [basename(file) === '__init__.py' ? dirname(dirname(file)) : dirname(file)];
}

function isDottedName(file: string, module: string, folder: string): boolean {
  if (file === '') return true;
  const base = resolve(folder, module.replaceAll('.', '/'));
  return !module.includes('/') && (file === `${base}.py` || file === join(base, '__init__.py'));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
