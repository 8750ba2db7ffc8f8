// Worker thread. What JavaScript says to the Python half of the gateway before there is a request.
import { fileURLToPath } from 'node:url';
import { catalogue, type ErrorCode, LidoError } from '../../src/contract/errors.js';
import {
  type OutputSettings,
  type PythonInstallation,
  type PythonSpec,
  WIRE,
} from '../../src/contract/protocol.js';
import { FIRST_GUESS_NS, MAX_NS, WEIGHT } from '../service-time.js';
import { CALLS } from './calls.js';

export const GATEWAY_FOLDER = fileURLToPath(new URL('.', import.meta.url));

/**
 * The gateway's modules as a package that no path of the application's can hide, and that is this copy of Lido's: another
 * one in the process has its own. Code to be run in a namespace; `part('.name')` imports a module of it.
 */
export const IMPORT_GATEWAY = `
import functools, importlib, itertools, sys, types
folder = ${JSON.stringify(GATEWAY_FOLDER)}
for number in itertools.count(1):
    package = types.ModuleType('_lido' if number == 1 else f'_lido{number}')
    package.__path__ = [folder]
    package = sys.modules.setdefault(package.__name__, package)
    if package.__path__ == [folder]:
        break
part = functools.partial(importlib.import_module, package=package.__name__)
wire = types.ModuleType(package.__name__ + '.wire', 'The numbers that both sides agree on.')
vars(wire).update(${JSON.stringify({ ...WIRE, ...CALLS, FIRST_GUESS_NS, WEIGHT, MAX_NS })})
package.wire = sys.modules.setdefault(wire.__name__, wire)
`;

/** The message and the remedy of each error by its code, for those that Python raises. */
export const MESSAGES = Object.fromEntries(
  Object.entries(catalogue).map(([code, { message, remedy }]) => [code, [message, remedy]]),
);

/** Where what Python code writes becomes lines of a JSON log; null where it stays as it is. */
export function findLogFd({ isCaptured, logFd }: OutputSettings): number | null {
  return isCaptured ? logFd : null;
}

/** What loader.py needs to know of an application. */
export function describeApplication(application: PythonSpec) {
  const { module, callable, path, spec, python, interface: wanted, loop } = application;
  return { module, callable, path, spec, interpreter: describePython(python), interface: wanted, loop };
}

/** "CPython 3.11.7 (/srv/venv/bin/python, by $VIRTUAL_ENV)" */
export function describePython({ version, executable, reason }: PythonInstallation): string {
  return `CPython ${version} (${executable}, ${reason})`;
}

/** What failures.py's describe_failure() made of an application that could not be loaded. */
export interface Failure {
  readonly code: ErrorCode;
  readonly args: readonly string[];
  readonly trace: string | null;
}

export function explainFailure({ code, args, trace }: Failure): LidoError {
  return new LidoError(code, args, trace === null ? {} : { traceback: trace });
}
