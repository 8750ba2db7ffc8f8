// What an application does when its process starts and ends: signals, atexit, threads that are to finish, an import that takes long.
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido, startLido } from './support/command.js';
import { findPythons } from './support/python-process.js';
import { venv } from './support/server.js';

const DEMO = 'from wsgiref.simple_server import demo_app as app\n';

/** Serves it, tells it to stop, and waits for its end. */
async function serveAndStop(python: string, source: string, words: readonly string[] = []) {
  const place = { cwd: makeFolder({ 'ending.py': source }) };
  const { child, ended, url } = await serveLido(['--python', python, ...words, 'ending.py'], place);
  expect((await fetch(url)).status).toBe(200);
  child.kill('SIGTERM');
  return await ended;
}

describe.each(findPythons())('the end of a process with Python %s', (_version, python) => {
  const source = `
import atexit, threading
from wsgiref.simple_server import demo_app as app

def finish():
    threading.main_thread().join()
    print("a thread finished", flush=True)

threading.Thread(target=finish).start()
atexit.register(lambda: print("a handler ran in", threading.current_thread().name))
`;

  it('lets threads finish, then atexit handlers run, on the main thread', async () => {
    const { code, stdout } = await serveAndStop(python, source);
    expect([code, stdout]).toEqual([0, 'a thread finished\na handler ran in MainThread\n']);
  });
});

describe('the end of a process', () => {
  it.each([
    ['a handler', 'atexit.register(threading.Event().wait)'],
    ['a thread', 'threading.Thread(target=threading.Event().wait).start()'],
  ])(
    'comes within the graceful time-out although %s has none, and is told where Python stands',
    async (_what, line) => {
      const source = `import atexit, threading\n${line}\n${DEMO}`;
      const { code, stderr } = await serveAndStop(venv, source, ['--graceful-timeout', '1']);
      expect(code).toBe(0);
      expect(stderr).toContain("Python's threads and atexit handlers took longer than the graceful time-out");
      expect(stderr).toContain('threading.py');
    },
  );

  it('is the same for each of several processes', async () => {
    const source = `import atexit\natexit.register(print, "flushed")\n${DEMO}`;
    const { code, stdout } = await serveAndStop(venv, source, ['--processes', '2']);
    expect([code, stdout]).toEqual([0, 'flushed\nflushed\n']);
  });

  // Each by itself: on a busy machine a start takes seconds.
  it.each([
    ['only checked', DEMO, { code: 0, stdout: expect.stringContaining('flushed') }],
    ['has an application that fails', 'raise ValueError("no")\n', { code: 3, stdout: 'flushed\n' }],
  ])('that %s lets handlers run too', async (_what, line, ended) => {
    const cwd = makeFolder({ 'checked.py': `import atexit\natexit.register(print, "flushed")\n${line}` });
    expect(await runLido(['check', '--python', venv, 'checked.py'], { cwd })).toMatchObject(ended);
  });

  it('that only checked is not kept by a thread', async () => {
    const source = `import threading\nthreading.Thread(target=threading.Event().wait).start()\n${DEMO}`;
    const cwd = makeFolder({ 'endless.py': source });
    expect(await runLido(['check', '--python', venv, 'endless.py'], { cwd })).toMatchObject({ code: 0 });
  });
});

describe('a signal of the server', () => {
  const source = `
import signal
from wsgiref.simple_server import demo_app

def stop(number, frame):
    print("stopped by the application")

before = signal.getsignal(signal.SIGTERM)
assert signal.signal(signal.SIGTERM, stop) is before
signal.signal(signal.SIGINT, signal.SIG_IGN)
for _ in range(2):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGALRM, stop)

def app(environ, start_response):
    signal.signal(signal.SIGHUP, stop)
    return demo_app(environ, start_response)
`;

  it.each(findPythons())(
    "stays the server's, which tells the place, once: Python %s",
    async (_version, python) => {
      const { code, stdout, stderr } = await serveAndStop(python, source);
      expect([code, stdout]).toEqual([0, '']);
      const told = [...stderr.matchAll(/signal\.signal\((\w+)\) at \S+ending\.py:(\d+) is ignored/g)];
      expect(told.map(([, name, line]) => `${name} ${line}`)).toEqual([
        'SIGTERM 9',
        'SIGINT 10',
        'SIGCHLD 12',
        'SIGHUP 16',
      ]);
    },
  );
});

describe('an import that takes long', () => {
  it('is told with the line where it stands', async () => {
    const source = `
import os, threading

def wait_for_database():
    while not os.path.exists("there"):
        threading.Event().wait(0.05)

wait_for_database()
${DEMO}`;
    const cwd = makeFolder({ 'slow.py': source });
    const { waitFor } = startLido(['--bind', '127.0.0.1:0', '--python', venv, 'slow.py'], { cwd });
    await waitFor(
      `slow.py has been loading for 5 s; it stands here\n      File "${cwd}/slow.py", line 8, in <module>\n`,
    );
    await waitFor(', in wait_for_database');
    writeFileSync(`${cwd}/there`, '');
    await waitFor('serving slow.py');
  }, 30_000);

  it('is told without a line while it keeps the GIL', async () => {
    const source = `import re\nre.match(r"(a+)+$", "a" * 28 + "b")\n${DEMO}`;
    const cwd = makeFolder({ 'keeps.py': source });
    const { waitFor } = startLido(['--bind', '127.0.0.1:0', '--python', venv, 'keeps.py'], { cwd });
    await waitFor('keeps.py has been loading for ');
  }, 30_000);
});
