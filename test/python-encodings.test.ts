// Which encodings an application begins with: those that its Python has as a command, whatever the locale.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { makeFolder, runLido } from './support/command.js';
import { venv } from './support/server.js';

const APPLICATION = `import locale, sys

def describe():
    with open(__file__) as file:
        opened = file.encoding
    return repr((opened.lower(), sys.getfilesystemencoding(), sys.stdout.encoding, locale.getpreferredencoding().lower()))

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [describe().encode()]
`;

it.each([
  ['no locale, as in a container', { LC_ALL: 'C' }],
  ['a locale of UTF-8', { LC_ALL: 'C.UTF-8' }],
  ['PYTHONUTF8', { LC_ALL: 'C', PYTHONUTF8: '1' }],
  ['PYTHONIOENCODING', { LC_ALL: 'C', PYTHONIOENCODING: 'latin-1' }],
])('are those of the command with %s', async (_what, env) => {
  const cwd = makeFolder({ 'tells.py': APPLICATION });
  const command = `${venv}/bin/python`;
  const script = 'import tells; print(tells.describe(), end="")';
  const outside = execFileSync(command, ['-c', script], { cwd, env: { ...process.env, ...env } }).toString();
  const { code, stdout } = await runLido(['call', '--python', venv, 'tells.py', '/'], { cwd, env });
  expect([code, stdout]).toEqual([0, outside]);
});
