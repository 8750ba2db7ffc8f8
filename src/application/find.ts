/** Main thread. MODULE:CALLABLE ► where the application is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, delimiter, dirname, extname, join, relative, resolve } from 'node:path';
import { LidoError } from '../contract/errors.js';
import type { ApplicationSpec, PythonInstallation, PythonSpec } from '../contract/protocol.js';
import { findPython, type Probes, probePythons } from '../python/find.js';
import { isFile, isFolder, nameModule, type PythonModule } from '../python/module.js';
import { parseApplicationName } from '../settings/application-name.js';
import { expandMounts } from '../settings/mounts.js';
import { nearest } from '../settings/nearest.js';
import type { Settings } from '../settings/resolve.js';

const JAVASCRIPT = ['.js', '.mjs', '.cjs', '.ts', '.mts'];
const PYTHON = ['.py'];
/** Others' config files are named where the application stands here: uwsgi uwsgi.ini. */
const CONFIG_FILE = /\.(?:ini|toml|json|ya?ml|conf|cfg)$/;

type Found = { readonly runtime: 'javascript' | 'cpython'; readonly file: string };

/**
 * Finds what `settings.application` names, seen from the working directory. Throws LIDO_NO_APPLICATION, LIDO_NOT_IMPORTABLE,
 * LIDO_AMBIGUOUS_APPLICATION, LIDO_MODULE_NOT_FOUND, or what findPython() throws.
 */
export async function resolveApplication(settings: Settings): Promise<ApplicationSpec> {
  const folder = process.cwd();
  const spec = settings.application;
  const name = spec === null ? null : parseApplicationName(spec);
  if (spec === null || name === null) throw new LidoError('LIDO_NO_APPLICATION');
  const { module } = name;
  const callable = settings.factory ? callFactory(name.callable, spec) : name.callable;
  const found = chooseRuntime(findModule(module, folder), module, settings, folder);
  if (callable === null) refuseProject(found.file, folder, module);
  if (found.runtime === 'javascript') return { runtime: 'javascript', file: found.file, callable, spec };
  const python = describePython(found.file, module, folder);
  const installation = await findPython(settings.python, folder);
  const listed = settings.pythonpath.flatMap((entry) => entry.split(delimiter));
  return {
    runtime: 'cpython',
    module: python.module,
    callable,
    spec,
    python: installation,
    interpreter: chooseInterpreter(settings, installation),
    interface: chooseInterface(settings, installation),
    loop: settings.loop,
    shared: 0,
    // The file's own directory comes first, as it does for a script; the working directory comes last.
    path: [
      ...(python.folder === folder ? [] : [python.folder]),
      ...listed.map((entry) => resolve(folder, entry)),
      folder,
    ],
  };
}

/** Each isolated interpreter loads the application by itself, when all that depends on its interface is made already: startApplication() begins anew where this is wrong. */
function chooseInterface(settings: Settings, installation: PythonInstallation): PythonSpec['interface'] {
  if (settings.interface !== 'auto') return settings.interface;
  return chooseInterpreter(settings, installation) === 'isolated' ? 'wsgi' : 'auto';
}

/** `create_app` ► `create_app()`. Throws LIDO_MALFORMED_CALLABLE where no factory is named. */
function callFactory(callable: string | null, spec: string): string {
  if (callable === null) throw new LidoError('LIDO_MALFORMED_CALLABLE', [`${spec}, with --factory,`]);
  return callable.endsWith(')') ? callable : `${callable}()`;
}

/** A project as django-admin makes it is a package with nothing in it: the application is in the wsgi.py beside. */
function refuseProject(file: string, folder: string, module: string): void {
  const isProject = ['wsgi.py', 'settings.py'].every((name) => isFile(join(dirname(file), name)));
  if (basename(file) !== '__init__.py' || !isProject) return;
  if (/\b(application|app)\b/.test(readFileSync(file, 'utf8'))) return;
  throw new LidoError('LIDO_MODULE_NOT_FOUND', [
    module,
    `an application in ${relative(folder, file)}, which names none; did you mean ${module.replaceAll('/', '.')}.wsgi?`,
  ]);
}

/** True where one of the applications is Python's; false where that cannot be told, which a start then says why. */
export function servesPython(settings: Settings): boolean {
  return expandMounts(settings).some(([, own]) => isPython(own));
}

/** Asks the Pythons of these applications what they are, as findPython() does. */
export async function probeFor(settings: Settings): Promise<Probes> {
  try {
    const own = expandMounts(settings).map(([, each]) => each);
    const named = own.filter(isPython).map(({ python }) => python);
    return await probePythons(named, process.cwd());
  } catch {
    // Whoever starts the application says what is wrong.
    return {};
  }
}

function isPython({ application, runtime: asked }: Settings): boolean {
  const name = application === null ? null : parseApplicationName(application);
  if (name === null) return false;
  const found = findModule(name.module, process.cwd());
  return asked === 'cpython' || (found.length > 0 && found.every(({ runtime }) => runtime === 'cpython'));
}

/** Interpreters with GILs of their own came with 3.12, and ones that end without leaking with 3.13; without a GIL there is nothing to part. */
function chooseInterpreter(
  { pythonInterpreter }: Settings,
  { version, versionInfo: [major, minor], freeThreaded }: PythonInstallation,
): 'shared' | 'isolated' {
  if (pythonInterpreter === 'shared' || freeThreaded) return 'shared';
  if (major > 3 || minor >= 13) return 'isolated';
  throw new LidoError('LIDO_ISOLATION_UNSUPPORTED', [version]);
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
    throw new LidoError('LIDO_AMBIGUOUS_APPLICATION', [
      relative(folder, first.file),
      relative(folder, other.file),
    ]);
  return first;
}

/** A dotted name that is no file here may still be a module that Python finds by itself, such as an installed package. */
function findInstalled(
  candidates: readonly Found[],
  module: string,
  settings: Settings,
  folder: string,
): Found {
  const { runtime, python, pythonpath } = settings;
  if (candidates.length === 0) refuseOtherFile(module, folder);
  const isName = /^[\p{ID_Start}_]\p{ID_Continue}*(\.[\p{ID_Start}_]\p{ID_Continue}*)*$/u.test(module);
  const hasExtension = [...JAVASCRIPT, ...PYTHON].includes(extname(module));
  const namesPython = runtime === 'cpython' || python !== null || pythonpath.length > 0;
  const mayBePython = runtime !== 'javascript' && (namesPython || module.includes('.'));
  const isSlip = runtime !== 'cpython' && isMisspelt(module, folder);
  if (isName && !hasExtension && candidates.length === 0 && mayBePython && !isSlip)
    return { runtime: 'cpython', file: '' };
  throw new LidoError('LIDO_MODULE_NOT_FOUND', [
    module,
    describeSearch(candidates, module, settings, folder),
  ]);
}

/** A file of that very name, such as mod_wsgi's site.wsgi: nothing tells its language, and Python could not import it. */
function refuseOtherFile(module: string, folder: string): void {
  const path = resolve(folder, module);
  const isKnown = [...JAVASCRIPT, ...PYTHON].includes(extname(module));
  if (isKnown || !isFile(path)) return;
  if (CONFIG_FILE.test(module))
    throw new LidoError('LIDO_WRONG_SETTING', [
      'the application',
      `takes MODULE:CALLABLE, and ${module} looks like a config file: Lido's own is named by --config`,
    ]);
  const better = `${stemOf(path).replaceAll(/\W/g, '_')}.py`;
  throw new LidoError('LIDO_NOT_IMPORTABLE', [path, 'its ending tells no language', better]);
}

/**
 * What is here shows that a dotted name is a slip: it begins like a file (hello.jx beside hello.js), or a package here
 * has nothing of that name, compiled or not. --runtime cpython leaves it to Python all the same.
 */
function isMisspelt(module: string, folder: string): boolean {
  const path = resolve(folder, module.replaceAll('.', '/'));
  const parent = dirname(path);
  if (parent === folder) return false;
  if (!existsSync(parent)) return [...JAVASCRIPT, ...PYTHON].some((ending) => isFile(parent + ending));
  if (!isFile(join(parent, '__init__.py'))) return false;
  return !readdirSync(parent).some((name) => name.split('.')[0] === basename(path));
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
  const endings = [...JAVASCRIPT, ...PYTHON];
  if (isFile(resolve(folder, module.replaceAll('.', '/'), 'wsgi.py')))
    return `${module}${endings.join(', ')} in ${folder}; did you mean ${module.replaceAll('/', '.')}.wsgi?`;
  const looked = endings.includes(extname(module)) ? module : `${module}${endings.join(', ')}`;
  const similar =
    findSimilar(resolve(folder, module)) ?? findSimilar(resolve(folder, module.replaceAll('.', '/')));
  return `${looked} in ${folder}${similar === null ? '' : `; did you mean ${relative(folder, similar)}?`}`;
}

function findSimilar(path: string): string | null {
  const parent = dirname(path);
  if (!isFolder(parent)) return null;
  const files = readdirSync(parent).filter((name) => [...JAVASCRIPT, ...PYTHON].includes(extname(name)));
  const near = nearest(basename(path, extname(path)), files.map(stemOf));
  const file = files.find((candidate) => stemOf(candidate) === near);
  return file === undefined ? null : join(parent, file);
}

function stemOf(file: string): string {
  return basename(file, extname(file));
}

/** A dotted name is imported as it is, from the working directory; a file by the name that its packages give it. */
function describePython(file: string, module: string, folder: string): PythonModule {
  const base = resolve(folder, module.replaceAll('.', '/'));
  const isDotted = !module.includes('/') && (file === `${base}.py` || file === join(base, '__init__.py'));
  return file === '' || isDotted ? { module, folder } : nameModule(file, folder);
}
