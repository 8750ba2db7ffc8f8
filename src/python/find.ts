/** Main thread. Finds the Python that was named, and asks it once what it is. */
import { type ExecException, execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { LidoError } from '../contract/errors.js';
import type { PythonInstallation } from '../contract/protocol.js';
import { explainAbsence } from './absence.js';

const run = promisify(execFile);

const PROBE_TIMEOUT_MS = 20_000;
const OLDEST = [3, 9] as const;

/**
 * Prints what Lido needs to know, each thing behind a NUL; last every place where the shared library may be. It does without `json`
 * and, by -S, without `site`: both take longer than all the rest, and tell nothing more.
 */
const PROBE = `
import os, sys, sysconfig
v = sysconfig.get_config_var
version = '%d.%d' % sys.version_info[:2]
flags = getattr(sys, 'abiflags', '')
names = [v('INSTSONAME'), v('LDLIBRARY'), 'libpython%s%s.so.1.0' % (version, flags), 'libpython%s%s.dylib' % (version, flags)]
libdir, multiarch, base = v('LIBDIR'), v('MULTIARCH'), getattr(sys, 'base_prefix', sys.prefix)
folders = [libdir, libdir and multiarch and os.path.join(libdir, multiarch), v('LIBPL'), os.path.join(base, 'lib'), os.path.join(base, 'lib64'), v('PYTHONFRAMEWORKPREFIX')]
folders += [os.path.join(base, 'lib', multiarch)] if multiarch else []
seen = []
for folder in folders:
    for name in names:
        if folder and name and not name.endswith('.a'):
            path = os.path.join(folder, name)
            if path not in seen:
                seen.append(path)
fields = [
    sys.executable,
    '%d.%d.%d' % sys.version_info[:3],
    getattr(getattr(sys, 'implementation', None), 'name', 'cpython'),
    '1' if v('Py_GIL_DISABLED') else '',
]
getattr(sys.stdout, 'buffer', sys.stdout).write(getattr(os, 'fsencode', str)('\\0'.join([''] + fields + seen)))
`;

/** What an interpreter says of itself. */
export interface Probe {
  readonly executable: string;
  readonly version: string;
  readonly versionInfo: readonly [number, number, number];
  readonly implementation: string;
  readonly freeThreaded: boolean;
  readonly libraries: readonly string[];
}

/** By interpreter. */
export type Probes = Readonly<Record<string, Probe>>;

let known: Probes = {};

/** Takes somebody else's word for what these are, for the life of this process. */
export function rememberProbes(probes: Probes): void {
  known = probes;
}

/** An interpreter, and what led to it. */
interface Located {
  readonly interpreter: string;
  readonly reason: string;
}

/**
 * Finds the Python to embed: `named` (an interpreter, a virtual environment, or a command on PATH), else VIRTUAL_ENV,
 * else `.venv` in `folder`, else python3 on PATH. Throws LIDO_PYTHON_NOT_FOUND, LIDO_PYTHON_NOT_RUNNABLE,
 * LIDO_PYTHON_UNSUPPORTED or LIDO_LIBPYTHON_NOT_FOUND; LIDO_VIRTUAL_ENV_DEAD where an environment is there without its Python,
 * since another one would have other packages.
 */
export async function findPython(named: string | null, folder: string): Promise<PythonInstallation> {
  const { interpreter, reason } = locateInterpreter(named, folder);
  const probe = known[interpreter] ?? (await probeInterpreter(interpreter));
  if (probe.implementation !== 'cpython')
    throw new LidoError('LIDO_PYTHON_UNSUPPORTED', [`${probe.version} (${probe.implementation})`]);
  const [major, minor] = probe.versionInfo;
  if (major !== OLDEST[0] || minor < OLDEST[1])
    throw new LidoError('LIDO_PYTHON_UNSUPPORTED', [probe.version]);
  const libpython = probe.libraries.find((path) => existsSync(path));
  if (libpython === undefined) {
    const packageName = `libpython${major}.${minor} (Debian and Ubuntu; python3-libs or python3-shared elsewhere)`;
    throw new LidoError('LIDO_LIBPYTHON_NOT_FOUND', [
      probe.executable,
      probe.version,
      probe.libraries.join(', '),
      packageName,
    ]);
  }
  const { executable, version, versionInfo, freeThreaded } = probe;
  return { executable, reason, version, versionInfo, libpython, freeThreaded };
}

/** Asks the Pythons that these settings name, all at once. Says nothing of what it cannot ask: findPython() will. */
export async function probePythons(named: readonly (string | null)[], folder: string): Promise<Probes> {
  const probes = [...new Set(named)].map(async (one) => {
    const { interpreter } = locateInterpreter(one, folder);
    return [interpreter, await probeInterpreter(interpreter)] as const;
  });
  const asked = await Promise.allSettled(probes);
  return Object.fromEntries(asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
}

function locateInterpreter(named: string | null, folder: string): Located {
  if (named !== null) return { interpreter: locateNamed(named, folder), reason: 'as it was named' };
  const active = process.env.VIRTUAL_ENV ?? '';
  if (active !== '')
    return { interpreter: findInEnvironment(active, '$VIRTUAL_ENV'), reason: 'by $VIRTUAL_ENV' };
  const local = join(folder, '.venv');
  // A folder of this name that is something else is none of ours.
  if (existsSync(join(local, 'pyvenv.cfg')) || existsSync(join(local, 'bin', 'python')))
    return { interpreter: findInEnvironment(local, '.venv'), reason: 'in the working directory' };
  const found = findOnPath('python3') ?? findOnPath('python');
  if (found === null) throw new LidoError('LIDO_PYTHON_NOT_FOUND', [`${local}, python3 on PATH`]);
  return { interpreter: found, reason: `on the PATH${describePassedOver(folder, found)}` };
}

/** Under other servers its name does not matter: they are installed into it, and run from there. */
function describePassedOver(folder: string, found: string): string {
  const passedOver = (name: string) =>
    existsSync(join(folder, name, 'pyvenv.cfg')) && dirname(found) !== join(folder, name, 'bin');
  const name = ['venv', 'env'].find(passedOver);
  return name === undefined ? '' : `; --python ${name} takes the environment ${name}`;
}

/** `name` is what people call the environment. */
function findInEnvironment(environment: string, name: string): string {
  const interpreter = join(environment, 'bin', 'python');
  if (!existsSync(interpreter))
    throw new LidoError('LIDO_VIRTUAL_ENV_DEAD', [name, explainAbsence(interpreter)]);
  return interpreter;
}

function locateNamed(named: string, folder: string): string {
  const path = resolve(folder, named);
  if (!existsSync(path)) {
    const found = named.includes('/') ? null : findOnPath(named);
    if (found === null) throw new LidoError('LIDO_PYTHON_NOT_FOUND', [explainAbsence(path)]);
    return found;
  }
  if (!statSync(path).isDirectory()) return path;
  const interpreter = ['python', 'python3']
    .map((name) => join(path, 'bin', name))
    .find((candidate) => existsSync(candidate));
  if (interpreter === undefined)
    throw new LidoError('LIDO_PYTHON_NOT_FOUND', [explainAbsence(join(path, 'bin', 'python'))]);
  return interpreter;
}

function findOnPath(command: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path)) ?? null;
}

/** What is no Python may repeat all that it was asked. Characters. */
const LONGEST_REASON = 200;

function explainProbe({ killed, stderr, message }: ExecException): string {
  if (killed === true) return `it did not answer within ${PROBE_TIMEOUT_MS / 1000} s`;
  const lines = (stderr || message).trim().split('\n');
  // A Python that cannot begin tells of its threads below what it raised.
  const raised = lines.findLast((line) => /^\w+(?:Error|Exception): /.test(line));
  const home = process.env.PYTHONHOME ?? '';
  // Every Python looks for its library there, whichever it is.
  const hint = home === '' ? '' : ` ($PYTHONHOME is ${home}: unset it, it is hardly ever needed)`;
  return (raised ?? lines.at(-1) ?? message).slice(0, LONGEST_REASON) + hint;
}

async function probeInterpreter(interpreter: string): Promise<Probe> {
  try {
    const { stdout } = await run(interpreter, ['-S', '-c', PROBE], { timeout: PROBE_TIMEOUT_MS });
    return readProbe(stdout);
  } catch (error) {
    throw new LidoError('LIDO_PYTHON_NOT_RUNNABLE', [interpreter, explainProbe(error as ExecException)], {
      cause: error,
    });
  }
}

/** What a shim prints comes in front. */
function readProbe(text: string): Probe {
  const [, executable, version, implementation, freeThreaded, ...libraries] = text.split('\0');
  if (executable === undefined || version === undefined || implementation === undefined)
    throw new Error('it does not say what it is');
  const versionInfo = version.split('.').map(Number) as [number, number, number];
  return { executable, version, versionInfo, implementation, freeThreaded: freeThreaded === '1', libraries };
}
