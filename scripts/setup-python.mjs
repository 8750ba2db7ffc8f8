// Makes .venv with what the tests' Python applications need; `npm test` calls it, and it does nothing when all is there.
// With --check it makes nothing, and fails where something is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const venv = `${root}.venv`;
const python = `${venv}/bin/python`;
const requirements = `${root}requirements.txt`;

const CHECK_PACKAGES =
  'import bottle, django, falcon, fastapi, flask, prometheus_client, pyramid, python_multipart, quart, starlette, uvloop';
/** Fails with the library's name where Python was built without a shared one, or that is not installed. */
const CHECK_LIBRARY = `
import os, sys, sysconfig
v = sysconfig.get_config_var
name = v('INSTSONAME') or ''
folders = [v('LIBDIR') or '', os.path.join(v('LIBDIR') or '', v('MULTIARCH') or ''), v('LIBPL') or '', os.path.join(sys.base_prefix, 'lib')]
sys.exit(0 if any(name and not name.endswith('.a') and os.path.exists(os.path.join(f, name)) for f in folders) else 'libpython%d.%d' % sys.version_info[:2])
`;

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return {
    ok: result.status === 0,
    output: `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`.trim(),
  };
}

function fail(what, remedy) {
  console.error(`set-up of the tests' Python failed: ${what}\n  ${remedy}`);
  process.exit(1);
}

function isComplete() {
  return (
    existsSync(python) && run(python, ['-c', CHECK_PACKAGES]).ok && run(python, ['-c', CHECK_LIBRARY]).ok
  );
}

function findInterpreter() {
  const candidates = ['python3', '/usr/bin/python3', 'python'];
  const found = candidates.filter(
    (candidate) => run(candidate, ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))']).ok,
  );
  if (found.length === 0)
    fail(
      'no Python 3.10 or later',
      'install python3, python3-venv and libpython3.x (Debian: apt-get install python3-venv libpython3.11)',
    );
  const shared = found.find((candidate) => run(candidate, ['-c', CHECK_LIBRARY]).ok);
  if (shared === undefined) {
    const { output } = run(found[0], ['-c', CHECK_LIBRARY]);
    fail(
      `${found[0]} has no shared library`,
      `install ${output} (Debian: apt-get install ${output}), or put a Python built with --enable-shared first on PATH`,
    );
  }
  return shared;
}

function makeWithPip(interpreter) {
  const made = run(interpreter, ['-m', 'venv', '--clear', venv]);
  if (!made.ok) return made;
  return run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
}

if (!isComplete()) {
  if (process.argv.includes('--check'))
    fail('.venv is missing or not complete', 'run `npm test`, which makes it');
  console.error('setting up .venv with the Python packages that the tests need');
  const made = makeWithPip(findInterpreter());
  // A distribution's packages are no way out: Debian 12's are years older than what the tests are written for.
  if (!made.ok) fail(made.output, 'let pip reach PyPI, or a mirror of it by PIP_INDEX_URL');
  if (!isComplete()) fail('.venv is there, but not complete', `remove ${venv} and try again`);
}
