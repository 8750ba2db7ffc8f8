// The host's thread. Starts the process's CPython, or finds the one that runs: another isolate of this process may have
// started it, or another copy of Lido.
import { LidoError } from '../../src/contract/errors.js';
import type { PythonInstallation } from '../../src/contract/protocol.js';
import { type LibPython, openLibpython, openLibrary, type Pointer } from './libpython.js';
import { bindsDeeply, shareVariablesOfProgram } from './own-libraries.js';
import { importSite } from './site.js';

/** How long another thread may take to start Python, and between two looks. Milliseconds. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 5;

export interface StartedPython {
  readonly python: LibPython;
  /** This thread's state. The GIL is free. */
  readonly thread: Pointer;
  /** Whether this thread initialised it. */
  readonly isMain: boolean;
}

/** Throws LIDO_OTHER_PYTHON_LOADED where another one runs in this process, and LIDO_LIBPYTHON_NOT_LOADED. */
export function startPython(installation: PythonInstallation): StartedPython {
  return whileNobodyElseStarts(() => {
    const running = findRunning();
    if (running === null) return initialize(installation);
    if (running !== installation.executable)
      throw new LidoError('LIDO_OTHER_PYTHON_LOADED', [installation.executable, running]);
    return join(installation);
  });
}

function initialize(installation: PythonInstallation): StartedPython {
  const deep = bindsDeeply() && shareVariablesOfProgram();
  const python = openLibpython(installation, deep);
  python.nameProgram(installation.executable);
  python.initializeWithoutSite();
  const thread = python.release();
  python.acquire(thread);
  python.protectStack(thread);
  try {
    importSite(python);
  } finally {
    python.release();
  }
  return { python, thread, isMain: true };
}

function join(installation: PythonInstallation): StartedPython {
  const python = openLibpython(installation);
  const thread = python.newThread(python.mainInterpreter());
  python.acquire(thread);
  python.protectStack(thread);
  python.release();
  return { python, thread, isMain: false };
}

/** The interpreter that the CPython of this process stands for; null where none runs. libpython shows its symbols to all. */
function findRunning(): string | null {
  const program = openLibrary(null);
  if (program === null || program.findAddress('Py_IsInitialized') === 0) return null;
  if (program.declare('Py_IsInitialized', 'int', [])() === 0) return null;
  return program.declare('Py_GetProgramFullPath', 'const char32_t *', [])() as string;
}

/**
 * Isolates share no memory that both could find, nor do copies of Lido: what the process has one of, and nobody else
 * uses, is C's lock of standard input. flockfile(3).
 */
function whileNobodyElseStarts<T>(act: () => T): T {
  const program = openLibrary(null);
  const stdin = program?.findAddress('stdin') ?? 0;
  if (program === null || stdin === 0) return act();
  const file = readPointer(program, stdin);
  const deadline = performance.now() + PATIENCE_MS;
  while (program.declare('ftrylockfile', 'int', ['size_t'])(file) !== 0) {
    if (performance.now() > deadline)
      throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', ['another thread has been starting it for a minute']);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
  try {
    return act();
  } finally {
    program.declare('funlockfile', 'void', ['size_t'])(file);
  }
}

function readPointer(program: NonNullable<ReturnType<typeof openLibrary>>, address: Pointer): Pointer {
  const word = Buffer.alloc(8);
  program.declare('memcpy', 'size_t', ['void *', 'size_t', 'size_t'])(word, address, 8);
  return Number(word.readBigUInt64LE());
}
