// Processes whose supervisor was killed: each ends, whatever it is at.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { makeFolder, serveLido, startLido } from './support/command.js';
import { get, RawClient } from './support/raw-client.js';
import { venv } from './support/server.js';

/** PyDLL keeps the GIL through a call. */
const APPLICATION = `import ctypes, os, sys, threading, time
libc = ctypes.PyDLL(None)

def tell(what):
    sys.stderr.write('%s in %d\\n' % (what, os.getpid()))
    sys.stderr.flush()

if os.environ.get('AT') == 'import':
    tell('it imports')
    libc.sleep(300)
if os.environ.get('AT') == 'end':
    threading.Thread(target=time.sleep, args=(300,)).start()

def application(environ, start_response):
    if environ['PATH_INFO'] == '/hold':
        tell('it holds')
        libc.sleep(300)
    if environ['PATH_INFO'] == '/wait':
        tell('it waits')
        time.sleep(300)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
`;
const words = ['--graceful-timeout', '0.5', '--python', venv, 'app.py'];

/** Resolves once there is no such process any more. */
async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 200; tries += 1) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await sleep(50);
  }
  process.kill(pid, 'SIGKILL');
  return false;
}

function findPid(stderr: string, what: string): number {
  return Number(new RegExp(`${what} in (\\d+)`).exec(stderr)?.[1]);
}

it('one that imports, with the GIL in C', async () => {
  const cwd = makeFolder({ 'app.py': APPLICATION });
  const server = startLido(['--bind', '127.0.0.1:0', ...words], { cwd, env: { AT: 'import' } });
  await server.waitFor('it imports in');
  server.child.kill('SIGKILL');
  expect(await isGone(findPid(server.stderr(), 'it imports'))).toBe(true);
});

it.each([
  ['keeps the GIL in C', '/hold', 'it holds', {}],
  ['waits in a request', '/wait', 'it waits', {}],
  ['has a thread of the application that does not end', '/', '', { AT: 'end' }],
])('one that %s', async (_what, path, told, env) => {
  const cwd = makeFolder({ 'app.py': APPLICATION });
  const server = await serveLido(words, { cwd, env });
  const client = new RawClient(Number(new URL(server.url).port));
  client.send(get('/'));
  const pid = Number((await client.readResponse()).body.toString());
  client.send(get(path));
  if (told !== '') await server.waitFor(`${told} in`);
  server.child.kill('SIGKILL');
  expect(await isGone(pid)).toBe(true);
});

it.runIf(process.platform === 'linux')('one that has hardly begun', async () => {
  const cwd = makeFolder({ 'app.py': APPLICATION });
  for (const afterMs of [0, 20, 60, 120]) {
    const server = startLido(['--bind', '127.0.0.1:0', ...words], { cwd });
    const pid = await findChild(server.child.pid ?? 0);
    await sleep(afterMs);
    server.child.kill('SIGKILL');
    expect(await isGone(pid)).toBe(true);
  }
});

/** The process that a supervisor forks first, as soon as it is there. Linux. */
async function findChild(pid: number): Promise<number> {
  for (;;) {
    const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    if (child !== '' && readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('process-entry.cjs'))
      return Number(child);
    await sleep(2);
  }
}
