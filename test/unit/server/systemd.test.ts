import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readPassedSockets, SystemdNotifier } from '../../../dist/src/server/systemd.js';
import { makeFolder } from '../../support/command.js';
import { createMemoryLog, venv } from '../../support/server.js';

/** A notify socket as systemd has it, which Node cannot open: it prints what it hears, a line for each datagram. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
while True:
    print(repr(s.recv(4096).decode()), flush=True)
`;

async function listen(path: string): Promise<() => Promise<string>> {
  const child = spawn(join(venv, 'bin/python'), ['-c', LISTENER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return async () => String((await lines.next()).value);
}

describe('a notify socket of systemd', () => {
  it.each(['/notify', '@lido-test'])(
    'hears that the service is ready, reloads and stops: %s',
    async (name) => {
      const path = name.startsWith('@') ? `${name}-${process.pid}` : `${makeFolder({})}${name}`;
      const hear = await listen(path);
      const notifier = new SystemdNotifier({ NOTIFY_SOCKET: path }, process.pid, createMemoryLog().log);
      await notifier.ready('serving a\nb');
      expect(await hear()).toBe(String.raw`'READY=1\nSTATUS=serving a b'`);
      await notifier.reloading();
      expect(await hear()).toMatch(/^'RELOADING=1\\nMONOTONIC_USEC=\d+'$/);
      await notifier.stopping();
      expect(await hear()).toBe("'STOPPING=1'");
    },
  );

  it('hears within the time of the watchdog that the main thread lives', async () => {
    const path = `${makeFolder({})}/notify`;
    const hear = await listen(path);
    const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid) };
    const notifier = new SystemdNotifier(environment, process.pid, createMemoryLog().log);
    // The service itself would keep the process alive.
    const alive = setInterval(() => {}, 1000);
    onTestFinished(() => clearInterval(alive));
    await notifier.ready('');
    await hear();
    expect(await hear()).toBe("'WATCHDOG=1'");
    expect(await hear()).toBe("'WATCHDOG=1'");
    await notifier.stopping();
  });

  it('is not missed where there is none, and told of once where nobody is behind it', async () => {
    const { log, lines } = createMemoryLog();
    await new SystemdNotifier({}, process.pid, log).ready('');
    expect(lines).toEqual([]);
    const deaf = new SystemdNotifier({ NOTIFY_SOCKET: '/no/such/socket' }, process.pid, log);
    await deaf.ready('');
    await deaf.stopping();
    expect(lines.map(({ msg }) => msg)).toEqual([expect.stringContaining('/no/such/socket')]);
  });
});

describe('sockets that were opened before the start', () => {
  it.each([
    [{ LISTEN_PID: '7', LISTEN_FDS: '2' }, ['fd://3', 'fd://4']],
    [{ LISTEN_PID: '8', LISTEN_FDS: '2' }, []],
    [{ LISTEN_PID: '7' }, []],
    [{ LISTEN_PID: '7', LISTEN_FDS: '0' }, []],
    [{ LISTEN_PID: '7', LISTEN_FDS: 'x' }, []],
    [{}, []],
  ])('are those of %j', (environment, expected) => {
    expect(readPassedSockets(environment, 7).values.bind ?? []).toEqual(expected);
  });
});
