// How a Python worker sleeps: its bell, whatever an application makes of sockets and of the standard library.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { IMPORT_GATEWAY } from '../dist/workers/python/gateway-code.js';
import { makeFolder } from './support/command.js';
import { startServer, venv } from './support/server.js';

/** Runs Python that has the module bell, a worker's words, and their names; returns what it prints. */
function run(...lines: string[]): string {
  const code = [
    IMPORT_GATEWAY,
    'import array, os, socket',
    "bell, wire, make_fence = part('.bell'), part('.wire'), part('.rings').make_fence",
    "words = array.array('I', bytes(4 * wire.SESSION_WORDS))",
    ...lines,
  ].join('\n');
  return execFileSync(`${venv}/bin/python`, ['-c', code], { encoding: 'utf8' }).trim();
}

const MAKE_SLEEPER = 'end, rope = bell.make_bell(); sleeper = bell.Sleeper(words, make_fence(), end)';

describe('the bell of a Python worker', () => {
  it("blocks the worker, and never the main thread, whatever the application's default for sockets", () => {
    const show = 'print(*map(os.get_blocking, bell.make_bell()))';
    expect(run(show)).toBe('True False');
    expect(run('socket.setdefaulttimeout(30)', show)).toBe('True False');
  });

  it('keeps the worker in Python where it was rung for what was answered already', () => {
    expect(run(MAKE_SLEEPER, "os.write(rope, b'1')", 'print(sleeper.sleep(0))')).toBe('True');
  });

  it('lets the worker leave once nothing comes, the session is closed, or the main thread has let it go', () => {
    const sleep = 'print(sleeper.sleep(0))';
    expect(run(MAKE_SLEEPER, sleep)).toBe('False');
    expect(run(MAKE_SLEEPER, "os.write(rope, b'1')", 'words[wire.CLOSING] = 1', sleep)).toBe('False');
    expect(run(MAKE_SLEEPER, 'os.close(rope)', sleep)).toBe('False');
  });

  it('is not waited for where a sign was asked for as the worker fell asleep', () => {
    const sleep =
      'print(bell.Sleeper(words, make_fence(), -1).sleep(0), words[wire.HEARD], words[wire.FOUND_FREE])';
    expect(run('words[wire.ASKED] = 1', sleep)).toBe('True 1 1');
  });
});

describe('an application that puts others in the place of os.read(), os.write() and time.sleep()', () => {
  it('leaves its worker those that were there, as eventlet.monkey_patch() must', async () => {
    const application = [
      'import os, time',
      'def refuse(*_):',
      '    raise RuntimeError("this is for greenlets")',
      'os.read = os.write = time.sleep = refuse',
      'def app(environ, start_response):',
      '    start_response("200 OK", [("Content-Type", "text/plain")])',
      '    return [b"hi"]',
    ];
    const folder = makeFolder({ 'patches.py': application.join('\n') });
    const { url, lines } = await startServer({ application: `${folder}/patches.py`, python: venv });
    for (let count = 0; count < 3; count += 1) expect(await (await fetch(url)).text()).toBe('hi');
    expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
  });
});
