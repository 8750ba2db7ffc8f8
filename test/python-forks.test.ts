// Processes that a Python application forks off: they have its code, and nothing of the server's.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';
import { venv } from './support/server.js';

const APPLICATION = `import multiprocessing, os, sys, time

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/terminate':
        child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(300,))
        child.start()
        child.terminate()
        child.join(10)
        said = child.exitcode
        child.kill()
    elif path == '/stay':
        child = os.fork()
        if child == 0:
            time.sleep(300)
            os._exit(0)
        said = child
    else:
        child = os.fork()
        if child == 0:
            environ['wsgi.errors'].write('the child is at %s\\n' % path)
            if path == '/exit':
                sys.exit(7)
            if path == '/raise':
                raise ValueError('not in the parent')
        else:
            said = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(said if child else 'nobody hears this').encode()]
`;
/** A thread of the application's own forks, and the child comes back from what the thread runs. */
const IN_A_THREAD = `import os, sys, threading
def application(environ, start_response):
    said = []
    def run():
        child = os.fork()
        if child:
            said.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        elif environ['PATH_INFO'] == '/raise':
            raise ValueError('not in the parent')
        elif environ['PATH_INFO'] == '/print':
            print('the child of a thread')
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(said[0]).encode()]
`;
/** What a thread of the application's own forks off forks again, as a daemon is made: by itself, or in a thread that it has begun. */
const AGAIN = `import os, threading
def fork(run):
    child = os.fork()
    if child == 0:
        os._exit(run())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def in_a_thread(run):
    said = []
    thread = threading.Thread(target=lambda: said.append(run()))
    thread.start()
    thread.join()
    return said[0]
def application(environ, start_response):
    between = in_a_thread if environ['PATH_INFO'] == '/thread' else lambda run: run()
    said = in_a_thread(lambda: fork(lambda: between(lambda: fork(lambda: 7))))
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(said).encode()]
`;
/** A thread forks while the request's line is not whole. */
const AMID_A_LINE = `import os, threading
def application(environ, start_response):
    print('one ', end='')
    def run():
        if os.fork() == 0:
            print('of the child')
        else:
            os.wait()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    print('line')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'']
`;
/** The import forks, three times: the children come back from it in each way that there is. */
const AT_IMPORT = `import os, sys
statuses = []
def fork(ends):
    child = os.fork()
    if child == 0:
        ends()
    else:
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return child
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(statuses).encode()]
if fork(lambda: None) and fork(lambda: sys.exit(7)):
    fork(lambda: 1 / 0)
`;
const words = ['--python', venv, '--threads', '1', 'app.py'];

describe.each([['--supervise'], ['--no-supervise']])('a process that is forked off, %s,', (supervise) => {
  const serve = (bind = '127.0.0.1:0') =>
    serveLido([supervise, '--bind', bind, ...words], { cwd: makeFolder({ 'app.py': APPLICATION }) });
  const ask = async (url: string, path: string) => (await fetch(url + path)).text();

  it('is ended by a signal, which the server has no part in', async () => {
    const { url, child, ended } = await serve();
    // What is terminated at once is in the midst of its fork.
    for (let times = 0; times < 5; times += 1) expect(await ask(url, '/terminate')).toBe('-15');
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
  });

  it('ends where it returns from the application, with what it raised', async () => {
    const { url, child, ended } = await serve();
    expect(await ask(url, '/return')).toBe('0');
    expect(await ask(url, '/exit')).toBe('7');
    expect(await ask(url, '/raise')).toBe('1');
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).toContain('the child is at /return\n');
    expect(stderr).toContain('ValueError: not in the parent\n');
  });

  it.runIf(process.platform === 'linux')('keeps no address from the next server', async () => {
    const { url, child } = await serve();
    // It has the standard streams, too: these do not close.
    const exited = once(child, 'exit');
    const forked = Number(await ask(url, '/stay'));
    try {
      child.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
      await expect(fetch(url)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
      const next = await serve(new URL(url).host);
      expect(await ask(next.url, '/return')).toBe('0');
    } finally {
      process.kill(forked, 'SIGKILL');
    }
  });
});

describe('a process that is forked off elsewhere', () => {
  it("ends with the application's thread that forked it, as in any Python", async () => {
    const server = await serveLido(words, { cwd: makeFolder({ 'app.py': IN_A_THREAD }) });
    for (const path of ['/return', '/raise', '/print'])
      expect(await (await fetch(server.url + path)).text()).toBe('0');
    await server.waitFor('ValueError: not in the parent');
    await expect.poll(server.stdout).toBe('the child of a thread\n');
  });

  it('may fork again', async () => {
    const server = await serveLido(words, { cwd: makeFolder({ 'app.py': AGAIN }) });
    expect(await (await fetch(`${server.url}/itself`)).text()).toBe('7');
    expect(await (await fetch(`${server.url}/thread`)).text()).toBe('7');
  });

  it('writes no line that another thread has begun', async () => {
    const server = await serveLido(words, { cwd: makeFolder({ 'app.py': AMID_A_LINE }) });
    await (await fetch(server.url)).text();
    await expect.poll(server.stdout).toBe('of the child\none line\n');
  });

  it('ends where the import that forked it is over', async () => {
    const server = await serveLido(words, { cwd: makeFolder({ 'app.py': AT_IMPORT }) });
    expect(await (await fetch(server.url)).text()).toBe('[0, 7, 1]');
    await server.waitFor('ZeroDivisionError: division by zero');
  });
});
