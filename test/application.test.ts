import { afterEach, describe, expect, it } from 'vitest';
import { resolveApplication } from '../dist/src/application.js';
import { LidoError } from '../dist/src/errors.js';
import { resolveUserSettings, type UserSettings } from '../dist/src/options.js';
import { makeFolder, runLido } from './support/command.js';
import { venv } from './support/server.js';

const home = process.cwd();
afterEach(() => process.chdir(home));

async function resolveIn(folder: string, settings: UserSettings) {
  process.chdir(folder);
  return await resolveApplication(resolveUserSettings(settings));
}

async function refuse(folder: string, settings: UserSettings): Promise<string> {
  const error: unknown = await resolveIn(folder, settings).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LidoError);
  return `${(error as LidoError).code} ${(error as LidoError).message}`;
}

describe('MODULE:CALLABLE', () => {
  it.each([
    ['site.js:application', 'site.js', 'application'],
    ['./site.js:app', 'site.js', 'app'],
    ['site', 'site.js', null],
    ['typed:site.app', 'typed.ts', 'site.app'],
    ['lib/deep:create_app("a:b")', 'lib/deep.mjs', 'create_app("a:b")'],
    ['lib.deep', 'lib/deep.mjs', null],
    ['old.cjs:', 'old.cjs', null],
  ])('%s is JavaScript', async (application, file, callable) => {
    const folder = makeFolder({ 'site.js': '', 'typed.ts': '', 'lib/deep.mjs': '', 'old.cjs': '' });
    expect(await resolveIn(folder, { application })).toEqual({
      runtime: 'javascript',
      file: `${folder}/${file}`,
      callable,
      spec: application,
    });
  });

  it.each([
    ['hello.py:application', 'hello', []],
    ['hello', 'hello', []],
    ['shop.wsgi:app', 'shop.wsgi', []],
    ['shop', 'shop', []],
    ['shop/wsgi.py', 'wsgi', ['shop']],
    ['shop/wsgi', 'wsgi', ['shop']],
    ['/ABSOLUTE/shop/wsgi.py', 'wsgi', ['shop']],
  ])('%s is Python', async (spec, module, folders) => {
    const folder = makeFolder({ 'hello.py': '', 'shop/__init__.py': '', 'shop/wsgi.py': '' });
    const application = spec.replace('/ABSOLUTE', folder);
    const found = await resolveIn(folder, { application, python: venv, pythonpath: ['lib:/opt/lib'] });
    const path = [
      ...new Set([...folders.map((name) => `${folder}/${name}`), `${folder}/lib`, '/opt/lib', folder]),
    ];
    expect(found).toMatchObject({ runtime: 'cpython', module, interpreter: 'shared', spec: application });
    expect(found).toHaveProperty('path', expect.arrayContaining(path));
    expect(found).toHaveProperty('python.libpython', expect.stringContaining('libpython'));
  });

  it('that is both asks which is meant, and --runtime says it', async () => {
    const folder = makeFolder({ 'hello.js': '', 'hello.py': '' });
    expect(await refuse(folder, { application: 'hello' })).toBe('LIDO_103 both hello.js and hello.py exist');
    const javascript = await resolveIn(folder, { application: 'hello', runtime: 'javascript' });
    const python = await resolveIn(folder, { application: 'hello', runtime: 'cpython', python: venv });
    expect([javascript.runtime, python.runtime]).toEqual(['javascript', 'cpython']);
  });

  it('that is nothing is told with what was looked for, and what is near', async () => {
    const folder = makeFolder({ 'hello.js': '' });
    expect(await refuse(folder, { application: 'helo:app' })).toBe(
      `LIDO_201 no module helo: looked for helo.js, .mjs, .cjs, .ts, .mts, .py in ${folder}; did you mean hello.js?`,
    );
    expect(await refuse(folder, { application: 'hello.py' })).toContain('LIDO_201 no module hello.py');
    expect(await refuse(folder, { application: 'hello.js', runtime: 'cpython' })).toContain(
      'but found hello.js',
    );
    expect(await refuse(folder, {})).toBe('LIDO_101 no application was named');
  });

  it('may be a module that Python has installed', async () => {
    const found = await resolveIn(makeFolder({}), {
      application: 'wsgiref:x',
      runtime: 'cpython',
      python: venv,
    });
    expect(found).toMatchObject({ runtime: 'cpython', module: 'wsgiref' });
  });
});

describe('lido check', () => {
  it('imports a Python application with --pythonpath before the working directory', async () => {
    const cwd = makeFolder({
      'lib/helper.py': `NAME = 'lib'\n`,
      'helper.py': `NAME = 'here'\n`,
      'hello.py': `import helper\nassert helper.NAME == 'lib', helper.__file__\ndef application(e, s): pass\n`,
    });
    const { stdout, stderr } = await runLido(['check', '--python', venv, '--pythonpath', 'lib', 'hello'], {
      cwd,
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^hello is ready to be served by CPython 3\.\d+\.\d+/);
  });
});
