// Whatever an operator does to a running server, no client sees it: reloads, recycling, more processes and fewer.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { type Clients, startClients } from './support/clients.js';
import { makeFolder, type Running, runLido, serveLido } from './support/command.js';
import { venv } from './support/server.js';

const version = (text: string) => `import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('${text} %d' % os.getpid()).encode()]
`;
const HELLO = `export const application = (environ, start) => (start('200 OK', []), ['hello']);\n`;
const BROKEN = `raise RuntimeError('not this one')\n`;

const portOf = ({ url }: Running) => Number(new URL(url).port);

interface Site {
  readonly cwd: string;
  readonly server: Running;
  write(source: string): void;
  reload(): ReturnType<typeof runLido>;
}

async function serveSite(words: readonly string[], source = version('one')): Promise<Site> {
  const cwd = makeFolder({ 'served.py': source });
  const control = ['--control-socket', 'control.sock'];
  const server = await serveLido([...words, ...control, '--python', venv, 'served.py'], { cwd });
  return {
    cwd,
    server,
    write: (text) => writeFileSync(join(cwd, 'served.py'), text),
    reload: () => runLido(['reload', ...control], { cwd }),
  };
}

/** Clients of both kinds. */
function startBoth(server: Running): readonly Clients[] {
  const port = portOf(server);
  return [true, false].map((isKept) => startClients({ port, count: 4, isKept }));
}

async function stopBoth(clients: readonly Clients[]): Promise<void> {
  for (const each of clients) await each.stop();
  for (const each of clients) expect([each.lost, each.refused]).toEqual([[], 0]);
}

const ask = async ({ url }: Running) => (await fetch(url, { headers: { Connection: 'close' } })).text();
const bodies = (clients: readonly Clients[]) => clients.flatMap((each) => [...each.bodies.keys()]);
const pidsOf = (clients: readonly Clients[]) => new Set(bodies(clients).map((body) => body.split(' ')[1]));

describe('a reload of Python', () => {
  it.each([
    ['one process', []],
    ['two processes', ['--processes', '2']],
    ['two processes, one by one', ['--processes', '2', '--reload-one-by-one']],
  ])('of %s serves the new version, and no client sees it', async (_name, words) => {
    const { server, write, reload } = await serveSite(words);
    const clients = startBoth(server);
    await Promise.all(clients.map((each) => each.answerMore(50)));
    write(version('two'));
    const { code, stdout, stderr } = await reload();
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^serving served\.py by CPython .* at http:/);
    expect(await ask(server)).toMatch(/^two /);
    await Promise.all(clients.map((each) => each.answerMore(50)));
    await stopBoth(clients);
    expect(new Set(bodies(clients).map((body) => body.split(' ')[0]))).toEqual(new Set(['one', 'two']));
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
  });

  it('that cannot be imported leaves the old version, shows its traceback, and fails for the script that asked', async () => {
    const { server, write, reload } = await serveSite([]);
    const before = await ask(server);
    write(BROKEN);
    const failed = await reload();
    expect(failed.code).toBe(3);
    expect(failed.stderr).toContain('RuntimeError: not this one');
    expect(failed.stderr).toContain('lido: LIDO_IMPORT_FAILED ');
    expect(await ask(server)).toBe(before);
    // The log tells it, too, whoever asked.
    await server.waitFor('not reloaded, what was served is served on');
    server.child.kill('SIGHUP');
    await server.waitFor('SIGHUP: loading the application anew');
    await server.waitFor('not reloaded, what was served is served on');
    await server.waitFor('RuntimeError: not this one');
    write(version('mended'));
    expect((await reload()).code).toBe(0);
    expect(await ask(server)).toMatch(/^mended /);
  });

  it('reads the config file again, and refuses by name what cannot change', async () => {
    const config = (lines: string) => `application = "served.py"\npython = "${venv}"\n${lines}`;
    const source = `import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [(os.environ['COLOUR'] + ' ' + str(environ['wsgi.multithread'])).encode()]
`;
    const cwd = makeFolder({ 'served.py': source, 'lido.config.toml': config('env = ["COLOUR=red"]\n') });
    const server = await serveLido(['--control-socket', 'control.sock'], { cwd });
    const reload = (lines: string) => {
      writeFileSync(join(cwd, 'lido.config.toml'), config(lines));
      return runLido(['reload', '--control-socket', 'control.sock'], { cwd });
    };
    expect(await ask(server)).toContain('red');
    expect((await reload('env = ["COLOUR=blue"]\n')).code).toBe(0);
    expect(await ask(server)).toContain('blue');
    const wrong = await reload('env = ["COLOUR=green"]\ntreads = 2\n');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean threads') });
    const refused = await reload('env = ["COLOUR=green"]\nlogFormat = "json"\n');
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        'LIDO_NOT_WHILE_RUNNING logFormat cannot change while the server runs: it is "text", and was to become "json"',
      ),
    });
    expect(await ask(server)).toContain('blue');
  });

  it('is refused where no supervisor is wanted', async () => {
    const { server, reload } = await serveSite(['--no-supervise']);
    expect(await ask(server)).toBe(`one ${server.child.pid}`);
    expect(await reload()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('LIDO_PYTHON_NOT_RELOADABLE'),
    });
    server.child.kill('SIGTTIN');
    await server.waitFor('SIGTTIN: the number of processes changes under a supervisor only');
  });
});

describe('recycling', () => {
  it.each([
    [
      'maxRequests',
      ['--max-requests', '40', '--max-requests-jitter', '20'],
      / has answered \d+ requests: another/,
    ],
    ['maxMemory', ['--max-memory', '1000000'], / takes \d+ bytes of memory: another/],
    ['maxAge', ['--max-age', '0.3'], / has served for \d+ s: another/],
  ])('by %s puts another process in the place of one, and no client sees it', async (_name, words, line) => {
    const { cwd, server } = await serveSite(words);
    const clients = startBoth(server);
    while (pidsOf(clients).size < 3) await Promise.race(clients.map((each) => each.answerMore(20)));
    await stopBoth(clients);
    expect(server.stderr()).toMatch(line);
    const { stdout } = await runLido(['stats', '--json', '--control-socket', 'control.sock'], { cwd });
    const { restarts } = JSON.parse(stdout) as { restarts: { what: string; why: string }[] };
    expect(restarts.map(({ what, why }) => `${what.slice(0, 8)}${why.slice(2)}: another`)[0]).toMatch(line);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });
});

describe('recycling without a supervisor', () => {
  it('ends the server, which answers one request so', async () => {
    const { server } = await serveSite(['--max-requests', '1', '--no-supervise']);
    expect(await ask(server)).toBe(`one ${server.child.pid}`);
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(server.stderr()).toContain('this process has answered 1 request, and no supervisor replaces it');
  });
});

describe('signals', () => {
  it('TTIN and TTOU start a process more and end one, and no client sees it', async () => {
    const { server } = await serveSite([]);
    const clients = startBoth(server);
    server.child.kill('SIGTTIN');
    await server.waitFor('SIGTTIN: 2 processes');
    while (pidsOf(clients).size < 2) await Promise.race(clients.map((each) => each.answerMore(20)));
    server.child.kill('SIGTTOU');
    await server.waitFor('SIGTTOU: 1 process\n');
    await Promise.all(clients.map((each) => each.answerMore(20)));
    await stopBoth(clients);
    server.child.kill('SIGTTOU');
    await server.waitFor('SIGTTOU: 1 process\n');
    expect(await ask(server)).toMatch(/^one /);
  });

  it.each([
    ['by a supervisor', []],
    ['alone', ['--no-supervise']],
  ])(
    'TERM lets shutdownDelay pass, not ready and served by all, before the end: %s',
    async (_name, words) => {
      const { server } = await serveSite(['--admin', '127.0.0.1:0', '--shutdown-delay', '1', ...words]);
      const admin = /admin at (http:\/\/[\d.:]+)/.exec(server.stderr())?.[1] ?? '';
      const ready = async () => (await fetch(`${admin}/health/ready`)).json();
      expect(await ready()).toMatchObject({ ready: true });
      const clients = startBoth(server);
      server.child.kill('SIGTERM');
      await server.waitFor('SIGTERM: not ready any more, and serving on for 1 s');
      expect(await ready()).toEqual({ ready: false, reasons: ['the server is about to stop'] });
      await Promise.all(clients.map((each) => each.answerMore(50)));
      const kept = await fetch(server.url);
      expect([kept.status, kept.headers.get('connection')]).toEqual([200, 'keep-alive']);
      expect(server.stderr()).not.toContain('finishing what runs');
      await stopBoth(clients);
      await server.waitFor('SIGTERM: finishing what runs');
      expect(await server.ended).toMatchObject({ code: 0 });
    },
  );

  it('HUP, USR1, WINCH and INT do what they do elsewhere, and no client sees it', async () => {
    const { cwd, server, write } = await serveSite(['--access-log', 'access.log']);
    const clients = startBoth(server);
    await Promise.all(clients.map((each) => each.answerMore(20)));
    write(version('two'));
    server.child.kill('SIGHUP');
    await server.waitFor('the application is loaded anew\n');
    await Promise.all(clients.map((each) => each.answerMore(20)));
    expect(await ask(server)).toMatch(/^two /);
    renameSync(join(cwd, 'access.log'), join(cwd, 'access.log.1'));
    server.child.kill('SIGUSR1');
    while (!existsSync(join(cwd, 'access.log')))
      await Promise.race(clients.map((each) => each.answerMore(5)));
    server.child.kill('SIGWINCH');
    await Promise.all(clients.map((each) => each.answerMore(20)));
    await stopBoth(clients);
    const others = startBoth(server);
    await Promise.all(others.map((each) => each.answerMore(20)));
    server.child.kill('SIGINT');
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
    for (const each of others) await each.stop();
    expect(others.flatMap(({ lost }) => lost)).toEqual([]);
  });

  it('HUP says that the settings stay as they were where no supervisor reads them again', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO });
    const server = await serveLido(['--control-socket', 'control.sock', 'hello.mjs'], { cwd });
    server.child.kill('SIGHUP');
    await server.waitFor(
      'the application is loaded anew; the settings stay as they were: start it with --supervise',
    );
    const asked = await runLido(['reload', '--control-socket', 'control.sock'], { cwd });
    expect(asked.stdout).toContain(
      '\nthe settings stay as they were: start it with --supervise to have them read again\n',
    );
  });

  it('QUIT ends at once what TERM would let finish', async () => {
    const slow = `import time
def application(environ, start_response):
    environ['wsgi.errors'].write('it runs\\n')
    time.sleep(20)
`;
    const { server } = await serveSite([], slow);
    const lost = ask(server).catch(() => 'lost');
    await server.waitFor('it runs');
    server.child.kill('SIGQUIT');
    expect(await lost).toBe('lost');
    expect((await server.ended).stderr).toContain('SIGQUIT: ending at once');
  });
});

it('a pidfile names who takes signals while it runs, keeps a second server away, and goes with the first', async () => {
  const { cwd, server } = await serveSite(['--pidfile', 'lido.pid']);
  const path = join(cwd, 'lido.pid');
  expect(readFileSync(path, 'utf8')).toBe(`${server.child.pid}\n`);
  const words = ['--pidfile', 'lido.pid', '--bind', '127.0.0.1:0', '--python', venv, 'served.py'];
  expect(await runLido(words, { cwd })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      `LIDO_ALREADY_RUNNING lido.pid names process ${server.child.pid}, which runs`,
    ),
  });
  expect(await runLido(['reload', '--pidfile', 'lido.pid'], { cwd })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('serving served.py'),
  });
  server.child.kill('SIGTERM');
  await server.ended;
  expect(existsSync(path)).toBe(false);
  expect(await runLido(['reload', '--control-socket', 'none.sock'], { cwd })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('LIDO_NOT_REACHED no server answers at none.sock'),
  });
});

it('connections go to the process that answers while Python is stuck in another', async () => {
  const source = `import ctypes, os
def application(environ, start_response):
    if environ['PATH_INFO'] == '/stuck':
        environ['wsgi.errors'].write('it is stuck\\n')
        # PyDLL keeps the GIL, as a backtracking regular expression does.
        ctypes.PyDLL(None).sleep(4)
    start_response('200 OK', [])
    return [b'%d' % os.getpid()]
`;
  const { server } = await serveSite(['--processes', '2', '--threads', '2'], source);
  let isStuck = true;
  const stuck = fetch(`${server.url}/stuck`).then(async (response) => {
    isStuck = false;
    return response.text();
  });
  await server.waitFor('it is stuck');
  // The first ones may come before the supervisor knows.
  let asked = 0;
  let answered = 0;
  while (isStuck && asked < 100) {
    asked += 1;
    void ask(server).then(() => {
      if (isStuck) answered += 1;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(answered).toBeGreaterThan(asked / 2);
  expect(await stuck).toMatch(/^\d+$/);
});

it('starts no process more once it is to end, though a reload was at work', async () => {
  const application = `import { appendFileSync, existsSync } from 'node:fs';
    appendFileSync('imports', process.pid + '\\n');
    const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    export function application({ PATH_INFO }, start) {
      if (PATH_INFO === '/held') while (!existsSync('let-go-' + process.pid)) pause();
      start('200 OK', []);
      return [String(process.pid)];
    }`;
  const cwd = makeFolder({ 'held.mjs': application });
  const words = ['--processes', '2', '--threads', '1', '--reload-one-by-one', 'held.mjs'];
  const server = await serveLido(words, { cwd });
  const ask = async (path: string, signal?: AbortSignal) =>
    (await fetch(server.url + path, { headers: { Connection: 'close' }, signal: signal ?? null })).text();
  const imports = () => readFileSync(join(cwd, 'imports'), 'utf8').trim().split('\n');
  const old = imports().sort((one, other) => Number(one) - Number(other));
  const letGo = (pid = '') => writeFileSync(join(cwd, `let-go-${pid}`), '');
  // One for each: a third one would go to the new process.
  const held = Promise.all([ask('/held'), ask('/held')]);
  server.child.kill('SIGHUP');
  await vi.waitUntil(() => imports().length === 3, { timeout: 20_000 });
  // Whoever comes to an old one waits there.
  const isNew = (pid: string) => pid !== '' && !old.includes(pid);
  const askSoon = () => ask('/', AbortSignal.timeout(1000)).catch(() => '');
  await vi.waitUntil(async () => isNew(await askSoon()), { timeout: 20_000 });
  server.child.kill('SIGTERM');
  await server.waitFor('SIGTERM: finishing what runs');
  // The oldest is exchanged first, and waited for.
  letGo(old[0]);
  await server.waitFor('LIDO_SHUTTING_DOWN not reloaded');
  letGo(old[1]);
  await held;
  expect((await server.ended).stderr).not.toContain('the supervisor is gone');
  expect(imports()).toHaveLength(3);
});
