// As systemd starts a service: sockets that are open already, and a socket that hears how it is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { root, venv } from './support/server.js';

const CLI = join(root, 'dist/src/cli.js');

/** Opens the notify socket and a listening one, and becomes Lido, as systemd's child does; a child prints what it hears. */
const SYSTEMD = `
import os, socket, sys
folder, node, *words = sys.argv[1:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(folder + "/notify")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
parent, tester = os.getpid(), os.getppid()
if os.fork() == 0:
    listener.close()
    notify.settimeout(1)
    # Nobody is left behind by a test that failed; the service itself may have handed over to another process.
    while os.path.exists(f"/proc/{tester}"):
        try:
            text = notify.recv(4096).decode()
        except socket.timeout:
            continue
        print(text.replace("\\n", " "), flush=True)
        if text.startswith("STOPPING"):
            break
    os._exit(0)
os.dup2(listener.fileno(), 3)
os.environ.update(LISTEN_PID=str(parent), LISTEN_FDS="1", NOTIFY_SOCKET=folder + "/notify")
os.execv(node, [node, *words])
`;

async function startAsService(...words: readonly string[]) {
  const folder = makeFolder({});
  const child: ChildProcess = spawn(
    join(venv, 'bin/python'),
    ['-c', SYSTEMD, folder, process.execPath, CLI, '--python', venv, ...words],
    { cwd: join(root, 'test/apps'), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const hear = async () => String((await lines.next()).value);
  return { child, hear, port: Number(await hear()) };
}

it.each([
  ['alone', 'applications.mjs:hello', '--no-supervise'],
  ['under a supervisor', 'applications.py:hello', '--log-level'],
])(
  'takes the socket that systemd opened, and says when it serves, reloads and stops: %s',
  async (_how, application, flag) => {
    const words = flag === '--log-level' ? [flag, 'error'] : [flag, '--log-level', 'error'];
    const { child, hear, port } = await startAsService(...words, application);
    expect(await hear()).toMatch(/^READY=1 STATUS=serving .* at http:\/\/127\.0\.0\.1:\d+$/);
    expect((await exchange(port, get('/'))).status).toBe(200);
    child.kill('SIGHUP');
    expect(await hear()).toMatch(/^RELOADING=1 MONOTONIC_USEC=\d+$/);
    expect(await hear()).toMatch(/^READY=1 /);
    expect((await exchange(port, get('/'))).status).toBe(200);
    child.kill('SIGTERM');
    expect(await hear()).toBe('STOPPING=1');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
  },
);

it('tells systemd the process that took over by SIGUSR2, which goes on with the socket that systemd opened', async () => {
  const { child, hear, port } = await startAsService('--log-level', 'error', 'applications.py:hello');
  expect(await hear()).toMatch(/^READY=1 /);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGUSR2');
  const [, successor] = /^MAINPID=(\d+)$/.exec(await hear()) ?? [];
  onTestFinished(() => {
    try {
      process.kill(Number(successor), 'SIGKILL');
    } catch {}
  });
  expect(await hear()).toMatch(/^READY=1 STATUS=serving .* at http:\/\/127\.0\.0\.1:\d+$/);
  expect(await ended).toBe(0);
  expect((await exchange(port, get('/'))).status).toBe(200);
  process.kill(Number(successor), 'SIGTERM');
  // The one that ended before said nothing: it was the service no more.
  expect(await hear()).toBe('STOPPING=1');
});

/** Opens a listening socket as its standard input, and becomes Lido. */
const FCGI_PROGRAM = `
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
os.dup2(listener.fileno(), 0)
os.execv(sys.argv[1], sys.argv[1:])
`;

it.each([
  ['alone', 'applications.mjs:hello', '--no-supervise'],
  ['under a supervisor', 'applications.py:hello', '--supervise'],
])(
  'takes the socket that supervisord opened as its standard input (fcgi-program): %s',
  async (_how, application, flag) => {
    const words = [CLI, '--bind', 'fd://0', '--python', venv, '--log-level', 'error', flag, application];
    const python = join(venv, 'bin/python');
    const child = spawn(python, ['-c', FCGI_PROGRAM, process.execPath, ...words], {
      cwd: join(root, 'test/apps'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    expect((await exchange(Number(port), get('/'))).status).toBe(200);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
  },
);
