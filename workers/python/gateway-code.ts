// Worker thread. What JavaScript says to the Python half of the gateway before there is a request.
import { fileURLToPath } from 'node:url';
import { catalogue, type ErrorCode, LidoError } from '../../src/contract/errors.js';
import type { PythonSpec } from '../../src/contract/protocol.js';

export const GATEWAY_FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** The gateway's modules as a package that no path of the application's can hide; code to be run in a namespace. */
export const IMPORT_GATEWAY = `
import sys, types
if '_lido' not in sys.modules:
    package = types.ModuleType('_lido')
    package.__path__ = [${JSON.stringify(GATEWAY_FOLDER)}]
    sys.modules['_lido'] = package
import _lido.gateway as gateway
`;

/** The message and the remedy of each error by its code, for those that Python raises. */
export const MESSAGES = Object.fromEntries(
  Object.entries(catalogue).map(([code, { message, remedy }]) => [code, [message, remedy]]),
);

/** What loader.py needs to know of an application. */
export function describeApplication({ module, callable, path, spec }: PythonSpec) {
  return { module, callable, path, spec };
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
