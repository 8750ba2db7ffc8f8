// Worker thread. An interpreter's first steps, in front of `site`, which is where the first extension modules may be loaded.
import { LidoError } from '../../src/contract/errors.js';
import type { LibPython } from './libpython.js';
import { bindsDeeply } from './own-libraries.js';

/** The place of no_site among the fields of sys.flags, on 3.9 to 3.14. */
const NO_SITE = 6;

const CHECK_FLAGS = `
import sys
assert sys.flags[${NO_SITE}] == sys.flags.no_site == 1
`;
const BIND_DEEPLY = `
import posix
sys.setdlopenflags(posix.RTLD_NOW | posix.RTLD_DEEPBIND)
`;

/**
 * Lets the current interpreter, which was made without `site`, import that: as Python itself does, but with extension
 * modules bound to their own libraries from the first one on. Throws LIDO_LIBPYTHON_NOT_LOADED.
 */
export function importSite(python: LibPython): void {
  const namespace = python.newNamespace();
  const run = (code: string) => {
    if (!python.runCode(code, namespace))
      throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [`site: ${python.takeError()}`]);
  };
  run(CHECK_FLAGS);
  if (bindsDeeply()) run(BIND_DEEPLY);
  // The application's Python was not asked to do without: multiprocessing hands these flags on to its children.
  python.setField(python.getSystemObject('flags'), NO_SITE, python.newInteger(0));
  run('import site');
  python.decref(namespace);
}
