// What Python is bound to in Lido, beside what it is bound to outside: Node exports libraries of the same names.
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { APPS, findPythons, openPython } from './support/python-process.js';
import { venv } from './support/server.js';

const run = promisify(execFile);
const pythons = findPythons();

interface Description {
  readonly environment: Record<string, string>;
  readonly [what: string]: unknown;
}

async function askOutside(interpreter: string): Promise<Description> {
  const { stdout } = await run(interpreter, [`${APPS}/tells_of_itself.py`]);
  return read(stdout);
}

function read(text: string): Description {
  const { environment, ...rest } = JSON.parse(text) as Description;
  // Node's own, in a process that it forked.
  const own = Object.entries(environment).filter(([name]) => !name.startsWith('NODE_CHANNEL_'));
  return { ...rest, environment: Object.fromEntries(own) };
}

describe.each(pythons)('Python %s', (_version, interpreter) => {
  it('is bound to its own OpenSSL and zlib, and has the flags, paths and environment that it has outside', async () => {
    await using python = await openPython(interpreter, 'tells_of_itself');
    const { blocks, error } = await python.request(1);
    expect(error).toBe(null);
    expect(read(blocks.join(''))).toEqual(await askOutside(interpreter));
  });
});

const able = pythons.filter(([version]) => Number(version.split('.')[1]?.split(' ')[0]) >= 13);

describe.each(able)('an interpreter of its own of Python %s', (_version, interpreter) => {
  it('is bound to the same', async () => {
    const words = ['--python', interpreter, '--python-interpreter', 'isolated', 'tells_of_itself.py'];
    const { url } = await serveLido(words, { cwd: APPS });
    expect(read(await (await fetch(url)).text())).toEqual(await askOutside(interpreter));
  });
});

describe('a library of C++', () => {
  const compiler = findCompiler();
  it.skipIf(compiler === null)(
    'writes to its streams, has the environment, gives a child another, catches its own',
    async () => {
      const application = [
        'import ctypes, os',
        'library = ctypes.CDLL("./left_behind.so", mode=os.RTLD_NOW | os.RTLD_DEEPBIND)',
        'library.say()',
        'assert library.count_environment() > 0, "no environment"',
        'assert library.start_with_an_environment() == 0, "another environment"',
        'assert library.catch_its_own() == 1',
        'from wsgiref.simple_server import demo_app as app',
      ];
      const cwd = makeFolder({ 'streams.py': application.join('\n') });
      await run(compiler ?? '', [
        '-shared',
        '-fPIC',
        '-o',
        `${cwd}/left_behind.so`,
        `${APPS}/left_behind.cc`,
      ]);
      const { code, stdout, stderr } = await runLido(['check', '--python', venv, 'streams.py'], { cwd });
      expect([code, stderr]).toEqual([0, expect.stringContaining('told by C++')]);
      expect(stdout).toContain('said by C++');
    },
  );
});

function findCompiler(): string | null {
  try {
    execFileSync('g++', ['--version'], { stdio: 'ignore' });
    return 'g++';
  } catch {
    return null;
  }
}
