// Python stuck in C beyond its time-out: what a process cannot get out of by itself, others take over.
import { describe, expect, it } from 'vitest';
import { startClients } from './support/clients.js';
import { makeFolder, type Running, serveLido } from './support/command.js';
import { startServer, venv } from './support/server.js';

/** PyDLL keeps the GIL in what it calls, CDLL does not. */
const SOURCE = `import ctypes, os, re, time
def application(environ, start_response):
    path = environ['PATH_INFO']
    environ['wsgi.errors'].write('%s begins in %d\\n' % (path, os.getpid()))
    if path == '/keeps':
        keep_the_gil()
    if path == '/backtracks':
        re.match('(a+)+$', 'a' * 60 + 'b')
    if path == '/waits':
        time.sleep(60)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d' % os.getpid()]
def keep_the_gil():
    ctypes.PyDLL(None).sleep(int(os.environ.get('SECONDS', '60')))
`;
const STANDS_THERE = /File ".*\/stuck\.py", line 14, in keep_the_gil\n/;
const quick = ['--timeout', '0.3', '--graceful-timeout', '1'];

const serve = (...words: readonly string[]) =>
  serveLido([...quick, ...words, '--python', venv, 'stuck.py'], { cwd: makeFolder({ 'stuck.py': SOURCE }) });
const ask = async ({ url }: Running, path = '/') => {
  const response = await fetch(url + path, { headers: { Connection: 'close' } });
  return { status: response.status, text: await response.text() };
};
const pidOf = async (server: Running) => Number((await ask(server)).text);

describe('under a supervisor, a process whose Python is stuck with the GIL', () => {
  it('is replaced; what waits in it is told 503 and who comes is served by the other', async () => {
    const server = await serve('--threads', '2');
    const stuck = await pidOf(server);
    const keeping = ask(server, '/keeps');
    await server.waitFor('/keeps begins');
    // They come to the process that is stuck: it alone listens.
    const waiting = Array.from({ length: 6 }, () => ask(server));
    expect((await keeping).status).toBe(504);
    for (const { status } of await Promise.all(waiting)) expect([503, 504]).toContain(status);
    await server.waitFor(
      `process ${stuck}: Python is stuck: a call into C keeps the GIL; another takes its place`,
    );
    const others = startClients({ port: Number(new URL(server.url).port), count: 4, isKept: false });
    await others.answerMore(50);
    await others.stop();
    expect([others.refused, others.lost]).toEqual([0, []]);
    expect([...others.bodies.keys()]).not.toContain(String(stuck));
    expect(server.stderr()).toMatch(STANDS_THERE);
    expect(server.stderr()).toMatch(/LIDO_PYTHON_STUCK .*this is what runs\n/);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  });

  it('gets no connections where there are others', async () => {
    const server = await serve('--processes', '2', '--threads', '1');
    const keeping = ask(server, '/keeps');
    await server.waitFor('/keeps begins');
    const stuck = Number(/\/keeps begins in (\d+)/.exec(server.stderr())?.[1]);
    await keeping;
    await server.waitFor('another takes its place');
    for (let count = 0; count < 20; count += 1) expect(await ask(server)).toMatchObject({ status: 200 });
    await server.waitFor(' serves\n');
    expect(await pidOf(server)).not.toBe(stuck);
  });

  it('is replaced, too, when more threads are stuck than it can spare', async () => {
    const server = await serve('--threads', '17');
    const stuck = await pidOf(server);
    const waiting = Array.from({ length: 17 }, () => ask(server, '/waits'));
    for (const { status } of await Promise.all(waiting)) expect(status).toBe(504);
    await server.waitFor(
      `process ${stuck}: Python is stuck: 17 threads are in calls that do not come back; another takes its place`,
    );
    expect(await pidOf(server)).not.toBe(stuck);
  });
});

it('one process alone says what it is stuck in, and ends so that another is started', async () => {
  const server = await serve('--no-supervise', '--threads', '2');
  const stuck = ask(server, '/backtracks');
  expect((await stuck).status).toBe(504);
  const { code, stderr } = await server.ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/LIDO_PYTHON_STUCK .*this is what runs\n/);
  expect(stderr).toMatch(/File ".*\/stuck\.py", line 8, in application\n/);
});

it('a program that embeds Lido is told, and served again when Python comes back', async () => {
  const cwd = makeFolder({ 'stuck.py': SOURCE });
  process.env.SECONDS = '10';
  const { server, url, findLine } = await startServer({
    application: `${cwd}/stuck.py`,
    python: venv,
    threads: 2,
    timeout: 0.3,
    admin: ['127.0.0.1:0'],
  });
  const readiness = async () => await (await fetch(`${server.adminAddresses[0]}/health/ready`)).json();
  delete process.env.SECONDS;
  const status = async (path: string) => (await fetch(url + path)).status;
  const keeping = status('/keeps');
  await findLine(({ msg }) => msg.includes('/keeps begins'));
  const waiting = [1, 2, 3, 4].map(() => status('/'));
  const { code, traceback } = await findLine(({ msg }) => msg.startsWith('Python is stuck'));
  expect(code).toBe('LIDO_PYTHON_STUCK');
  expect(traceback).toMatch(STANDS_THERE);
  expect(await keeping).toBe(504);
  for (const each of await Promise.all(waiting)) expect([503, 504]).toContain(each);
  expect(await status('/')).toBe(503);
  expect(await readiness()).toMatchObject({
    ready: false,
    reasons: [expect.stringContaining('Python is stuck')],
  });
  while ((await status('/')) !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await readiness()).toMatchObject({ ready: true });
});
