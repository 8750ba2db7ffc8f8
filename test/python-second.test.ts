// A process has one CPython, whoever asks for it: several worker threads, several copies of Lido.
import { execFile } from 'node:child_process';
import { cpSync, symlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { findPythons } from './support/python-process.js';
import { root } from './support/server.js';

const run = promisify(execFile);
const PROGRAM = `${root}test/support/second-user.mjs`;
const LIDO = `${root}dist/src/index.js`;
const pythons = findPythons();

/** Answers how often it was asked in this process. */
const COUNTING = `
count = 0

def app(environ, start_response):
    global count
    count += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(count).encode()]
`;

async function serve(manner: string, users: readonly object[]): Promise<string[]> {
  const { stdout } = await run(process.execPath, [PROGRAM, JSON.stringify([manner, users])]);
  return JSON.parse(stdout) as string[];
}

function makeApplication(): string {
  return `${makeFolder({ 'counting.py': COUNTING })}/counting.py`;
}

function copyLido(): string {
  const folder = makeFolder({});
  for (const name of ['dist', 'package.json'])
    cpSync(`${root}${name}`, `${folder}/${name}`, { recursive: true });
  symlinkSync(`${root}node_modules`, `${folder}/node_modules`);
  return `${folder}/dist/src/index.js`;
}

describe.each(pythons)('Python %s', (_version, python) => {
  it.each(['threads in turn', 'threads at once', 'one thread'])(
    'is shared by several users of Lido and by a copy of it: %s',
    async (manner) => {
      const application = makeApplication();
      const users = [LIDO, copyLido(), LIDO].map((lido) => ({ lido, python, application }));
      expect((await serve(manner, users)).sort()).toEqual(['1', '2', '3']);
    },
  );
});

describe.skipIf(pythons.length < 2)('a second Python', () => {
  it.each(['threads in turn', 'one thread'])('is refused by its name in %s', async (manner) => {
    const application = makeApplication();
    const [[, first], [, second]] = pythons as [[string, string], [string, string]];
    const users = [first, second].map((python, index) => ({
      lido: index ? copyLido() : LIDO,
      python,
      application,
    }));
    const [served, refused] = await serve(manner, users);
    expect(served).toBe('1');
    expect(refused).toBe(
      `LIDO_OTHER_PYTHON_LOADED: a process holds one CPython: ${second} was asked for, ${first} is loaded`,
    );
  });
});
