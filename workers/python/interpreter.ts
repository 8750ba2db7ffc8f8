// Worker thread. The interpreter that a worker's Python runs in: the process's one, or one of its own with its own GIL.
import { LidoError } from '../../src/contract/errors.js';
import type { LibPython, Pointer } from './libpython.js';
import { importSite } from './site.js';

export interface EnteredInterpreter {
  /** This thread's state, current from here on. */
  readonly thread: Pointer;
  /** Whether the interpreter is this thread's alone. */
  readonly isIsolated: boolean;
}

/** Makes a thread state and takes the GIL that goes with it. Throws LIDO_INTERPRETER_NOT_MADE where Python makes no interpreter. */
export function enterInterpreter(python: LibPython, isIsolated: boolean): EnteredInterpreter {
  const shared = python.newThread(python.mainInterpreter());
  python.acquire(shared);
  if (!isIsolated) {
    python.protectStack(shared);
    return { thread: shared, isIsolated };
  }
  const thread = python.newInterpreter();
  if (typeof thread === 'string') {
    python.clearThread(shared);
    python.deleteCurrentThread();
    throw new LidoError('LIDO_INTERPRETER_NOT_MADE', [thread]);
  }
  python.release();
  // Only somebody within the first interpreter could make the second.
  python.acquire(shared);
  python.clearThread(shared);
  python.deleteCurrentThread();
  python.acquire(thread);
  python.protectStack(thread);
  importSite(python);
  return { thread, isIsolated };
}

/**
 * Drops the current thread's state, and with it the application's thread-local objects. An interpreter of its own stays
 * until the process ends, as the process's one does: CPython 3.13 corrupts its heap when one ends that has had Flask in it.
 */
export function leaveInterpreter(python: LibPython, { thread, isIsolated }: EnteredInterpreter): void {
  if (isIsolated) {
    python.release();
    return;
  }
  python.clearThread(thread);
  python.deleteCurrentThread();
}
