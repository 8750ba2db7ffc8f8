import { afterEach, describe, expect, it } from 'vitest';
import { resolveApplication } from '../../../dist/src/application/find.js';
import { LidoError } from '../../../dist/src/contract/errors.js';
import { resolveUserSettings, type UserSettings } from '../../../dist/src/settings/resolve.js';
import { makeFolder, runLido } from '../../support/command.js';
import { venv } from '../../support/server.js';

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
    ['shop/wsgi.py', 'shop.wsgi', []],
    ['shop/wsgi', 'shop.wsgi', []],
    ['/ABSOLUTE/shop/wsgi.py', 'shop.wsgi', []],
    ['scripts/serve.py', 'serve', ['scripts']],
    ['src/deep/site/wsgi.py', 'deep.site.wsgi', ['src']],
    ['src/deep/site/__init__.py', 'deep.site', ['src']],
  ])('%s is Python', async (spec, module, folders) => {
    const folder = makeFolder({
      '__init__.py': '',
      'hello.py': '',
      'shop/__init__.py': '',
      'shop/wsgi.py': '',
      'scripts/serve.py': '',
      'src/deep/__init__.py': '',
      'src/deep/site/__init__.py': '',
      'src/deep/site/wsgi.py': '',
    });
    const application = spec.replace('/ABSOLUTE', folder);
    const found = await resolveIn(folder, { application, python: venv, pythonpath: ['lib:/opt/lib'] });
    const path = [...folders.map((name) => `${folder}/${name}`), `${folder}/lib`, '/opt/lib', folder];
    expect(found).toMatchObject({ runtime: 'cpython', module, interpreter: 'shared', spec: application });
    expect(found).toHaveProperty('path', path);
    expect(found).toHaveProperty('python.libpython', expect.stringContaining('libpython'));
  });

  it('that is both asks which is meant, and --runtime says it', async () => {
    const folder = makeFolder({ 'hello.js': '', 'hello.py': '' });
    expect(await refuse(folder, { application: 'hello' })).toBe(
      'LIDO_AMBIGUOUS_APPLICATION both hello.js and hello.py exist',
    );
    const javascript = await resolveIn(folder, { application: 'hello', runtime: 'javascript' });
    const python = await resolveIn(folder, { application: 'hello', runtime: 'cpython', python: venv });
    expect([javascript.runtime, python.runtime]).toEqual(['javascript', 'cpython']);
  });

  it('that is nothing is told with what was looked for, and what is near', async () => {
    const folder = makeFolder({ 'hello.js': '' });
    expect(await refuse(folder, { application: 'helo:app' })).toBe(
      `LIDO_MODULE_NOT_FOUND no module helo: looked for helo.js, .mjs, .cjs, .ts, .mts, .py in ${folder}; did you mean hello.js?`,
    );
    expect(await refuse(folder, { application: 'hello.py' })).toContain(
      'LIDO_MODULE_NOT_FOUND no module hello.py',
    );
    expect(await refuse(folder, { application: 'hello.js', runtime: 'cpython' })).toContain(
      'but found hello.js',
    );
    expect(await refuse(folder, {})).toBe('LIDO_NO_APPLICATION no application was named');
  });

  it.each([
    ['hello.jx:app', 'did you mean hello.js?'],
    ['shop.wsgj', 'did you mean shop/wsgi.py?'],
  ])('%s is a slip, not an installed package, by what is here', async (application, hint) => {
    const folder = makeFolder({ 'hello.js': '', 'shop/__init__.py': '', 'shop/wsgi.py': '' });
    expect(await refuse(folder, { application })).toContain(hint);
    expect(await resolveIn(folder, { application, runtime: 'cpython', python: venv })).toMatchObject({
      runtime: 'cpython',
    });
  });

  it('may be a compiled module of a package here', async () => {
    const folder = makeFolder({ 'shop/__init__.py': '', 'shop/fast.cpython-311-x86_64-linux-gnu.so': '' });
    const found = await resolveIn(folder, { application: 'shop.fast:app', python: venv });
    expect(found).toMatchObject({ runtime: 'cpython', module: 'shop.fast' });
  });

  it('that Python cannot import for its name is told what to call it', async () => {
    const folder = makeFolder({ 'my.app.py': '' });
    expect(await refuse(folder, { application: 'my.app.py' })).toBe(
      `LIDO_NOT_IMPORTABLE ${folder}/my.app.py cannot be imported: Python takes a dot for the border between a package and a module`,
    );
  });

  it.each([
    ['site.wsgi', 'site.py'],
    ['serve', 'serve.py'],
  ])('may not be a file like %s, whose ending tells no language', async (application, better) => {
    const folder = makeFolder({ [application]: '' });
    await expect(resolveIn(folder, { application })).rejects.toMatchObject({
      remedy: `rename it, for example ${better}`,
    });
    expect(await refuse(folder, { application, python: venv })).toBe(
      `LIDO_NOT_IMPORTABLE ${folder}/${application} cannot be imported: its ending tells no language`,
    );
  });

  it('is no config file', async () => {
    const folder = makeFolder({ 'uwsgi.ini': '' });
    expect(await refuse(folder, { application: 'uwsgi.ini' })).toBe(
      "LIDO_WRONG_SETTING the application: takes MODULE:CALLABLE, and uwsgi.ini looks like a config file: Lido's own is named by --config",
    );
  });

  it('is not looked for inside a file', async () => {
    const folder = makeFolder({ 'hello.py': '' });
    expect(await refuse(folder, { application: 'hello.py/app' })).toContain(
      'LIDO_MODULE_NOT_FOUND no module hello.py/app',
    );
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
  it('imports a file of a package with its relative imports', async () => {
    const cwd = makeFolder({
      'shop/__init__.py': '',
      'shop/views.py': 'def application(e, s): pass\n',
      'shop/wsgi.py': 'from .views import application\n',
    });
    for (const name of ['shop/wsgi.py', 'shop/wsgi', 'shop.wsgi']) {
      const { code, stderr } = await runLido(['check', '--python', venv, name], { cwd });
      expect([code, stderr]).toEqual([0, '']);
    }
  });

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
