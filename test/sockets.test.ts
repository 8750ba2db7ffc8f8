// The sockets that are listened on: who may connect, how many may wait there, and by which names.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido, startLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { venv } from './support/server.js';

const HELLO = `
  export function application(environ, startResponse) {
    startResponse('200 OK', []);
    return ['hello from ' + process.pid];
  }`;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const reusesPort = major > 22 || (major === 22 && minor >= 12);

/** Who listens: the process that serves, or the supervisor for it. */
const ways: readonly (readonly [name: string, words: readonly string[]])[] = [
  ['alone', []],
  ['one process under a supervisor', ['--supervise']],
  ['two processes', ['--processes', '2']],
];

async function serve(words: readonly string[]) {
  const cwd = makeFolder({ 'hello.mjs': HELLO });
  const started = startLido([...words, '--threads', '1', 'hello.mjs'], { cwd });
  await started.waitFor('serving ');
  return { ...started, cwd };
}

/** The process and those that it started. */
function familyOf({ pid }: ChildProcess): number[] {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = parents.filter((name) => readStat(name)?.parent === pid).map(Number);
  return [pid as number, ...children];
}

function readStat(pid: number | string): { state: string; parent: number } | null {
  try {
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}

async function halt(child: ChildProcess): Promise<void> {
  const family = familyOf(child);
  for (const pid of family) process.kill(pid, 'SIGSTOP');
  while (family.some((pid) => readStat(pid)?.state !== 'T')) await new Promise(setImmediate);
}

function proceed(child: ChildProcess): void {
  for (const pid of familyOf(child)) process.kill(pid, 'SIGCONT');
}

/** Node fills abstract names up with NULs before its version 22; Python takes them as they are. */
const ASK = `
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect("\\0" + sys.argv[1])
client.sendall(b"GET / HTTP/1.1\\r\\nHost: lido.test\\r\\n\\r\\n")
print("connected", flush=True)
answer = b""
while b"hello from" not in answer:
    answer += client.recv(4096)
print(answer.decode())
`;

function askAbstract(name: string) {
  const child = spawn(join(venv, 'bin/python'), ['-c', ASK, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const connected = new Promise((resolve) => child.stdout.once('data', resolve));
  const answer = new Promise<string>((resolve) => child.on('close', () => resolve(text)));
  return { connected, answer };
}

describe.each(ways)('%s', (_name, words) => {
  it('lets those connect to a Unix socket whom unixMode names', async () => {
    const path = join(makeFolder({}), 'lido.sock');
    await serve(['--bind', `unix:${path}`, '--unix-mode', '626', ...words]);
    expect((statSync(path).mode & 0o777).toString(8)).toBe('626');
    expect((await exchange(path, get('/'))).status).toBe(200);
  });

  it('keeps as many connections as socketBacklog says until they are accepted', async () => {
    const path = join(makeFolder({}), 'lido.sock');
    const { child } = await serve(['--bind', `unix:${path}`, '--socket-backlog', '3', ...words]);
    await halt(child);
    // Linux has room for one more than it is told; then connect(2) fails at once.
    const first = new RawClient(path);
    const clients = [first, ...Array.from({ length: 5 }, () => new RawClient(path))];
    const outcomes = clients.map(
      ({ socket }) =>
        new Promise<string>((resolve) => {
          socket.once('connect', () => resolve('connected'));
          socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? ''));
        }),
    );
    expect(await Promise.all(outcomes)).toEqual([...Array(4).fill('connected'), 'EAGAIN', 'EAGAIN']);
    proceed(child);
    first.send(get('/'));
    expect((await first.readResponse()).status).toBe(200);
  });

  it('has an abstract socket of just that name, serves who waits there at the end, and is gone', async () => {
    const name = `lido-test-${process.pid}-${words.length}`;
    const { child, stderr, ended } = await serve(['--bind', `unix:@${name}`, ...words]);
    expect(stderr()).toContain(` at unix:@${name}`);
    expect(await askAbstract(name).answer).toContain('HTTP/1.1 200 OK');
    await halt(child);
    const waiting = askAbstract(name);
    await waiting.connected;
    child.kill('SIGTERM');
    proceed(child);
    expect(await waiting.answer).toContain('HTTP/1.1 200 OK');
    expect((await ended).code).toBe(0);
    expect(readFileSync('/proc/net/unix', 'utf8')).not.toContain(name);
  });

  it.runIf(reusesPort)('shares a port with another server where both say reusePort', async () => {
    const one = await serveLido(['--reuse-port', ...words, 'hello.mjs'], {
      cwd: makeFolder({ 'hello.mjs': HELLO }),
    });
    const { port } = new URL(one.url);
    const other = await serve(['--bind', `127.0.0.1:${port}`, '--reuse-port', ...words]);
    const seen = new Set<boolean>();
    // The kernel chooses by the client's port: in a while both have had a connection.
    while (seen.size < 2) {
      const { body } = await exchange(Number(port), get('/'));
      const pid = Number(/\d+/.exec(body.toString())?.[0]);
      seen.add(familyOf(other.child).includes(pid));
    }
  });
});

it('says at the start that an abstract socket is taken', async () => {
  const name = `lido-test-${process.pid}-taken`;
  const { cwd } = await serve(['--bind', `unix:@${name}`]);
  const { code, stderr } = await runLido(['--bind', `unix:@${name}`, 'hello.mjs'], { cwd });
  expect([code, stderr]).toEqual([1, expect.stringContaining(`LIDO_CANNOT_LISTEN`)]);
  expect(stderr).toContain('EADDRINUSE');
});

it.each([
  [['--control-socket', 'none/lido.sock'], 'ENOENT', 'make it, or choose another path with --control-socket'],
  [['--admin', 'unix:none/lido.sock'], 'ENOENT', 'make it, or choose another path with --admin'],
])('says at the start where %j cannot be, and what to name instead', async (words, code, remedy) => {
  const ended = await runLido(['--bind', '127.0.0.1:0', ...words, 'hello.mjs'], {
    cwd: makeFolder({ 'hello.mjs': HELLO }),
  });
  expect(ended.stderr).toContain(`LIDO_CANNOT_LISTEN cannot listen on unix:none/lido.sock: ${code}`);
  expect(ended.stderr).toContain(remedy);
  expect(ended.code).toBe(1);
});

it.each([
  [['--bind', 'unix:@'], 'unix:@ needs a name, for example unix:@lido'],
  [['--bind', `unix:@${'x'.repeat(108)}`], 'a name of 108 bytes is too long: an abstract socket takes 107'],
  [['--unix-mode', '9'], '--unix-mode: takes three octal digits as text, such as "660", not "9"'],
  [
    ['--control-socket', '@lido'],
    '--control-socket: takes the path of a Unix socket, such as /run/lido.sock',
  ],
  [
    ['--control-socket', 'x'.repeat(108)],
    '--control-socket: a path of 108 bytes is too long: the system takes 107',
  ],
  [
    ['--admin', 'unix:@lido'],
    'every user of this machine may connect to an abstract socket: write unix:PATH',
  ],
])('refuses %j: %s', async (words, text) => {
  const { code, stderr } = await runLido([...words, 'hello.mjs'], {
    cwd: makeFolder({ 'hello.mjs': HELLO }),
  });
  expect(stderr).toContain(text);
  expect(code).toBe(2);
});

it.skipIf(reusesPort)('refuses reusePort by name before Node.js 22.12', async () => {
  const { code, stderr } = await runLido(['--reuse-port', 'hello.mjs'], {
    cwd: makeFolder({ 'hello.mjs': HELLO }),
  });
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(
      `--reuse-port: reusePort needs Node.js 22.12 or later, and this is ${process.versions.node}`,
    ),
  ]);
});
