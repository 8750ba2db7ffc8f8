// What Python applications see of the worker threads that share one interpreter, and what they may start from them.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { type RunningServer, root, startServer, venv } from './support/server.js';

function serve(name: string, threads = 1): Promise<RunningServer> {
  return startServer({ application: `${root}test/apps/threads.py:${name}`, python: venv, threads });
}

async function ask(url: string, path = ''): Promise<string> {
  const response = await fetch(url + path);
  expect([path, response.status]).toEqual([path, 200]);
  return response.text();
}

describe('requests that wait', () => {
  it('run at the same time, as many as there are threads, however many are queued', async () => {
    const { url } = await serve('meets_three_others', 4);
    const threads = await Promise.all(Array.from({ length: 24 }, () => ask(url)));
    expect(new Set(threads).size).toBe(4);
  });
});

describe('requests that compute without the GIL', () => {
  it.skipIf(availableParallelism() < 2)(
    'do so side by side, once it is known of them',
    async () => {
      const { url } = await serve('hashes', 4);
      const round = async () =>
        Math.max(...(await Promise.all(Array.from({ length: 6 }, () => ask(url)))).map(Number));
      await expect.poll(round, { timeout: 30_000, interval: 0 }).toBeGreaterThan(1);
    },
    40_000,
  );
});

describe('the GIL, which a thread asks for that is back from a wait,', () => {
  it('is passed to it after 1 ms where others compute beside it, and as Python has it on one thread', async () => {
    const { url } = await serve('tells_the_interval', 2);
    expect(await ask(url)).toBe('0.001');
    // In a process of its own: servers of one process share its Python.
    const alone = await serveLido(['--python', venv, '--threads', '1', 'threads.py:tells_the_interval'], {
      cwd: `${root}test/apps`,
    });
    expect(await ask(alone.url)).toBe('0.005');
  });

  it('is passed as the application wants it where that has chosen', async () => {
    const application = [
      'import sys',
      'sys.setswitchinterval(0.02)',
      'def application(environ, start_response):',
      "    start_response('200 OK', [])",
      '    return [str(sys.getswitchinterval()).encode()]',
    ];
    const folder = makeFolder({ 'chosen.py': application.join('\n') });
    const { url } = await startServer({
      application: `${folder}/chosen.py:application`,
      python: venv,
      threads: 2,
    });
    expect(await ask(url)).toBe('0.02');
  });
});

it('has four threads where they share one GIL and nobody says how many', async () => {
  const server = await serveLido(['--python', venv, 'threads.py:meets_three_others'], {
    cwd: `${root}test/apps`,
  });
  expect(server.stderr()).toContain('on 4 threads at');
});

describe('what a thread keeps for itself', () => {
  it('is there for its next request, as a connection that is bound to it', async () => {
    const { url } = await serve('keeps_a_connection', 2);
    const visits = await Promise.all(Array.from({ length: 10 }, () => ask(url)));
    expect(Math.max(...visits.map(Number))).toBeGreaterThanOrEqual(5);
    const { url: alone } = await serve('keeps_a_connection');
    expect([await ask(alone), await ask(alone), await ask(alone)]).toEqual(['1', '2', '3']);
  });

  it('is finalised when the worker ends', async () => {
    const { url, server } = await serve('leaves_with_its_thread');
    const file = `${makeFolder({})}/farewell`;
    expect(await ask(url, `/?${file}`)).toBe('False');
    await server.close();
    expect(existsSync(file)).toBe(true);
  });
});

describe('a context variable', () => {
  it('lasts for its request, with its blocks and close(), and starts as the import left it', async () => {
    const { url } = await serve('names_its_guest');
    for (const name of ['ada', 'grace', 'joan'])
      expect(await ask(url, `/?${name}`)).toBe(`nobody, set at import; ${name}`);
  });
});

describe('an application', () => {
  it.each([
    ['is in no main thread', '/main_thread', '(False, True)'],
    ['cannot handle signals', '/signal_handler', 'signal only works in main thread of the main interpreter'],
    ['runs an event loop', '/event_loop', 'slept'],
    ['runs a child from an event loop', '/child_of_event_loop', "b'hi\\n'"],
    ['runs a pool of threads', '/thread_pool', '[1, 2, 3]'],
    ['runs a pool of processes that it forks', '/process_pool?fork', '[1, 2, 3]'],
    ['runs a pool of processes that are started anew', '/process_pool?spawn', '[1, 2, 3]'],
    ['runs a child', '/child', "b'hi\\n'"],
    ['forks, and the child exits', '/fork', "(b'from the child', 3)"],
  ])('%s', async (_what, path, answer) => {
    const { url } = await serve('starts_something');
    expect(await ask(url, path)).toBe(answer);
    expect(await ask(url, '/thread_pool')).toBe('[1, 2, 3]');
  });
});

describe('a package that gives threads identities of its own', () => {
  it('leaves requests the thread that they have, as eventlet.monkey_patch() must', async () => {
    const application = [
      'import itertools, threading',
      'threading.get_ident = itertools.count(1).__next__',
      'def app(environ, start_response):',
      '    body = environ["wsgi.input"].read()',
      '    start_response("200 OK", [("Content-Type", "text/plain")])',
      '    yield b"read: "',
      '    yield body',
    ];
    const folder = makeFolder({ 'renames_threads.py': application.join('\n') });
    const { url } = await startServer({
      application: `${folder}/renames_threads.py`,
      python: venv,
      threads: 2,
    });
    const answers = Array.from({ length: 4 }, async () =>
      (await fetch(url, { method: 'POST', body: 'hi' })).text(),
    );
    expect(await Promise.all(answers)).toEqual(Array(4).fill('read: hi'));
  });
});

describe('an application that fails while it is imported', () => {
  const failing = 'import sys\nprint("imported", file=sys.stderr)\nraise RuntimeError("no pool")\n';

  it('is tried once, however many threads there are', async () => {
    const cwd = makeFolder({ 'failing.py': failing });
    const { code, stderr } = await runLido(['--python', venv, '--threads', '4', 'failing.py'], { cwd });
    expect(code).toBe(3);
    expect(stderr.match(/^imported$/gm)).toHaveLength(1);
    expect(stderr).toContain('RuntimeError: no pool');
  });

  it('is told that greenlets cannot be its threads, where gevent would put them in their place', async () => {
    const monkey = 'def is_module_patched(name):\n    return name == "threading"\n';
    const application = 'import gevent.monkey\nfrom wsgiref.simple_server import demo_app as app\n';
    const files = { 'gevent/__init__.py': '', 'gevent/monkey.py': monkey, 'greenlets.py': application };
    const words = ['check', '--python', venv, 'greenlets.py'];
    const { code, stderr } = await runLido(words, { cwd: makeFolder(files) });
    expect([code, stderr]).toEqual([3, expect.stringContaining('LIDO_GREENLETS_FOR_THREADS')]);
    expect(stderr).toContain('monkey.patch_all(thread=False)');
  });
});
