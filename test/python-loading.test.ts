import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { findPython } from '../dist/src/python/find.js';
import { APPS, findPythons, openPython, PythonProcess } from './support/python-process.js';

const run = promisify(execFile);
const [[, interpreter] = ['', '']] = findPythons();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lido-python-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

describe.each(findPythons())('the probe of Python %s', (version, path) => {
  it('finds its shared library and its version', async () => {
    const python = await findPython(path, '/');
    expect(`3.${python.versionInfo[1]}`).toBe(version.split(' ')[0]);
    expect(python.version).toBe(python.versionInfo.join('.'));
    expect(python.libpython).toContain(`libpython3.${python.versionInfo[1]}`);
    expect(python.freeThreaded).toBe(python.libpython.includes(`${python.versionInfo[1]}t.`));
  });

  it('finds that of a virtual environment, whose packages the application then imports', async () => {
    const environment = join(folder, `venv ${version.replaceAll('/', '_')}`);
    await run(path, ['-m', 'venv', '--without-pip', environment]);
    const python = await findPython(environment, '/');
    expect(python.executable).toBe(join(environment, 'bin', 'python'));
    const packages = join(
      environment,
      'lib',
      `python3.${python.versionInfo[1]}${python.freeThreaded ? 't' : ''}`,
      'site-packages',
    );
    const elsewhere = join(environment, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(packages, 'elsewhere.pth'), `${elsewhere}\n`);
    await writeFile(
      join(elsewhere, 'only_here.py'),
      `import sys
def application(environ, start_response):
    start_response('200 OK', [])
    return [repr([sys.prefix, sys.executable, sys.path]).encode()]
`,
    );
    await using process = await openPython(environment, 'only_here');
    const { blocks } = await process.request(1);
    const { stdout } = await run(join(environment, 'bin', 'python'), [
      '-c',
      'import sys; print([sys.prefix, sys.executable, sys.path[1:]])',
    ]);
    expect(blocks.join('')).toBe(stdout.trim().replace("', ['", `', ['${APPS}', '`));
  });
});

describe('finding a Python', () => {
  it('runs a shim rather than believing its place', async () => {
    const shim = await script('python3', `exec ${interpreter} "$@"`);
    expect((await findPython(shim, '/')).executable).toBe(interpreter);
  });

  it('ignores what a start-up file prints', async () => {
    const chatty = await script('chatty', `echo welcome; exec ${interpreter} "$@"`);
    expect((await findPython(chatty, '/')).executable).toBe(interpreter);
  });

  it('takes .venv in the folder when none is named', async () => {
    const project = join(folder, 'project');
    await mkdir(join(project, '.venv', 'bin'), { recursive: true });
    await symlink(interpreter, join(project, '.venv', 'bin', 'python'));
    const outer = process.env.VIRTUAL_ENV;
    delete process.env.VIRTUAL_ENV;
    try {
      expect((await findPython(null, project)).executable).toBe(join(project, '.venv', 'bin', 'python'));
    } finally {
      if (outer !== undefined) process.env.VIRTUAL_ENV = outer;
    }
  });

  it('tells of an environment that lies there under another name, and is not taken', async () => {
    const project = join(folder, 'other name');
    await mkdir(join(project, 'venv'), { recursive: true });
    vi.stubEnv('VIRTUAL_ENV', undefined);
    expect((await findPython(null, project)).reason).toBe('on the PATH');
    await writeFile(join(project, 'venv', 'pyvenv.cfg'), 'home = /usr/bin\n');
    expect((await findPython(null, project)).reason).toBe(
      'on the PATH; --python venv takes the environment venv',
    );
    // Whoever puts it on the PATH has taken it.
    await mkdir(join(project, 'venv', 'bin'));
    await symlink(interpreter, join(project, 'venv', 'bin', 'python3'));
    vi.stubEnv('PATH', `${join(project, 'venv', 'bin')}:${process.env.PATH}`);
    expect((await findPython(null, project)).reason).toBe('on the PATH');
    vi.unstubAllEnvs();
  });

  it('refuses an environment that has lost its Python, rather than take another one', async () => {
    const lost = join(folder, 'lost');
    await mkdir(join(lost, '.venv'), { recursive: true });
    await writeFile(join(lost, '.venv', 'pyvenv.cfg'), 'home = /gone\n');
    const refused = (place: string) => ({
      code: 'LIDO_VIRTUAL_ENV_DEAD',
      message: `the virtual environment ${place} has no Python: looked for ${join(lost, '.venv', 'bin', 'python')}`,
    });
    vi.stubEnv('VIRTUAL_ENV', undefined);
    await expect(findPython(null, lost)).rejects.toMatchObject(refused('.venv'));
    vi.stubEnv('VIRTUAL_ENV', join(lost, '.venv'));
    await expect(findPython(null, '/')).rejects.toMatchObject(refused('$VIRTUAL_ENV'));
    expect((await findPython(interpreter, lost)).reason).toBe('as it was named');
    vi.unstubAllEnvs();
  });

  it('says of an interpreter that is a link where it leads', async () => {
    const { venv, link, end } = await makeLinkedVenv();
    await expect(findPython(venv, '/')).rejects.toMatchObject({
      message: `no Python found: tried ${link}, a link to ${end}, which is not there`,
    });
  });

  // It takes root to be somebody else, and sources that others may read.
  const module = resolve('dist/src/python/find.js');
  const asOther = { uid: 54_321, gid: 54_321, cwd: '/', encoding: 'utf8' as const };
  const maySpeakForOther =
    process.getuid?.() === 0 && spawnSync('test', ['-r', module], asOther).status === 0;
  it.skipIf(!maySpeakForOther)('says of a link who may not go where it leads', async () => {
    const { venv, link, end } = await makeLinkedVenv();
    await symlink(interpreter, end);
    await chmod(dirname(end), 0o700);
    const find = `import(${JSON.stringify(pathToFileURL(module).href)})
      .then(({ findPython }) => findPython(process.argv[1], '/')).catch(({ message }) => console.log(message))`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', find, venv], asOther);
    expect(stdout, stderr).toBe(
      `no Python found: tried ${link}, a link to ${end}, which user 54321 may not reach\n`,
    );
  });

  /** A virtual environment whose interpreter is a link to `end`, where nothing is. */
  async function makeLinkedVenv() {
    const place = await mkdtemp(join(tmpdir(), 'lido-link-'));
    onTestFinished(() => rm(place, { recursive: true }));
    await chmod(place, 0o755);
    const [home, venv] = [join(place, 'home'), join(place, 'venv')];
    for (const each of [home, join(venv, 'bin')]) await mkdir(each, { recursive: true });
    const [link, end] = [join(venv, 'bin', 'python'), join(home, 'python3')];
    await symlink('python3', link);
    await symlink(end, join(venv, 'bin', 'python3'));
    return { venv, link, end };
  }

  it('says that PYTHONHOME is set where a Python cannot begin', async () => {
    vi.stubEnv('PYTHONHOME', '/gone');
    const found = findPython(interpreter, '/');
    await expect(found).rejects.toThrow(/encodings.* \(\$PYTHONHOME is \/gone: unset it/);
    vi.unstubAllEnvs();
  });

  const ancient = join(process.env.HOME ?? '/', '.pyenv/versions/2.7.18/bin/python2.7');
  it.skipIf(!existsSync(ancient))('tells Python 2.7, too, that it is too old', async () => {
    await expect(findPython(ancient, '/')).rejects.toMatchObject({
      code: 'LIDO_PYTHON_UNSUPPORTED',
      message: 'Python 2.7.18 is not supported',
    });
  });

  it('says what was tried, what failed, what is too old, and what lacks its library', async () => {
    await expect(findPython('/no/such/python', '/')).rejects.toMatchObject({ code: 'LIDO_PYTHON_NOT_FOUND' });
    const broken = await script('broken', 'echo "no such version" >&2; exit 1');
    await expect(findPython(broken, '/')).rejects.toMatchObject({
      code: 'LIDO_PYTHON_NOT_RUNNABLE',
      message: `${broken} could not be run: no such version`,
    });
    const homeless = await script(
      'homeless',
      'printf "Fatal Python error\\nModuleNotFoundError: No module named encodings\\n\\nCurrent thread\\n  <no Python frame>" >&2; exit 1',
    );
    await expect(findPython(homeless, '/')).rejects.toMatchObject({
      message: `${homeless} could not be run: ModuleNotFoundError: No module named encodings`,
    });
    const echoing = await script('echoing', 'echo "$@" | tr "\\n" " " >&2; exit 1');
    const { message } = (await findPython(echoing, '/').catch((error: unknown) => error)) as Error;
    expect(message.length).toBeLessThan(300 + echoing.length);
    const silent = await script('silent', 'exit 0');
    await expect(findPython(silent, '/')).rejects.toMatchObject({ code: 'LIDO_PYTHON_NOT_RUNNABLE' });
    const tell = (version: string) => `printf '\\0%s' /p ${version} cpython '' /no/lib.so`;
    const old = await script('old', tell('3.8.1'));
    await expect(findPython(old, '/')).rejects.toMatchObject({ code: 'LIDO_PYTHON_UNSUPPORTED' });
    const bare = await script('bare', `echo 'what a shim says'; ${tell('3.11.1')}`);
    await expect(findPython(bare, '/')).rejects.toMatchObject({
      code: 'LIDO_LIBPYTHON_NOT_FOUND',
      message: '/p (Python 3.11.1) has no shared library; looked for /no/lib.so',
    });
  });
});

describe('loading a Python application', () => {
  let python: PythonProcess;
  let session = 0;

  beforeAll(async () => {
    python = new PythonProcess();
    await python.load(interpreter);
  });
  afterAll(() => python[Symbol.asyncDispose]());

  function open(module: string, callable: string | null = null, settings: object = {}): Promise<string> {
    session += 1;
    return python.open({ module, callable }, { session, settings });
  }

  it('says which runtime it is', async () => {
    const { version } = await findPython(interpreter, '/');
    expect(await open('gateway_cases', 'one_block')).toBe(
      `CPython ${version} (${interpreter}, as it was named) with one GIL`,
    );
  });

  it('calls a factory with literal arguments', async () => {
    await open('gateway_cases', 'create("one_block", twice=True)');
    expect((await python.request(1, {}, session)).blocks).toEqual(['hello']);
  });

  it.each([
    ['no_such_module', null, 'LIDO_MODULE_NOT_FOUND'],
    ['lacks_a_module', null, 'LIDO_IMPORT_FAILED'],
    ['raises_on_import', null, 'LIDO_IMPORT_FAILED'],
    ['leaves_on_import', null, 'LIDO_IMPORT_FAILED'],
    ['gateway_cases', null, 'LIDO_CALLABLE_NOT_FOUND'],
    ['gateway_cases', 'missing', 'LIDO_CALLABLE_NOT_FOUND'],
    ['gateway_cases', 'Closing.missing', 'LIDO_CALLABLE_NOT_FOUND'],
    ['gateway_cases', 'not_callable', 'LIDO_NOT_CALLABLE'],
    ['gateway_cases', 'not_callable()', 'LIDO_NOT_CALLABLE'],
    ['gateway_cases', 'create', 'LIDO_OTHER_ARGUMENTS'],
    ['cannot_be_told', null, 'LIDO_IMPORT_FAILED'],
    ['gateway_cases', 'create("missing")', 'LIDO_FACTORY_FAILED'],
    ['asynchronous', 'coroutine', 'LIDO_COROUTINE_FUNCTION'],
    ['asynchronous', 'generator', 'LIDO_COROUTINE_FUNCTION'],
    ['gateway_cases', 'create(one_block)', 'LIDO_MALFORMED_CALLABLE'],
    ['gateway_cases', 'one block', 'LIDO_MALFORMED_CALLABLE'],
  ])('refuses %s:%s with %s', async (module, callable, code) => {
    await expect(open(module, callable)).rejects.toMatchObject({ code });
  });

  it('says which Python could not import it, and why it was that one', async () => {
    const { version } = await findPython(interpreter, '/');
    const by = `CPython ${version} (${interpreter}, as it was named)`;
    await expect(open('lacks_a_module')).rejects.toMatchObject({
      message: `lacks_a_module failed while ${by} imported it`,
    });
    const missing = (await open('no_such_module').catch((error: unknown) => error)) as Error;
    expect(missing.message).toContain(`sys.path of ${by}`);
  });

  it('says what is no application by the name that it was found by', async () => {
    await expect(open('no_application')).rejects.toMatchObject({
      message: 'no_application:app is an int, not callable',
    });
    await expect(open('gateway_cases', 'create')).rejects.toMatchObject({
      message: 'gateway_cases takes (name, *, twice=False), and is called with environ and start_response',
    });
  });

  it('shows the traceback of a failed import, from the application on', async () => {
    const failure = (await open('raises_on_import').catch((error: unknown) => error)) as {
      traceback: string;
    };
    expect(failure.traceback).toMatch(
      /^Traceback \(most recent call last\):\n {2}File ".*raises_on_import.py", line 5/,
    );
    expect(failure.traceback).toMatch(/ValueError: while imported\n$/);
  });

  it('holds the application to the protocol with wsgiref.validate when asked to', async () => {
    await open('gateway_cases', 'returns_bytes', { validate: true });
    const { error } = await python.request(2, {}, session);
    expect(error?.message).toContain('AssertionError');
  });
});
