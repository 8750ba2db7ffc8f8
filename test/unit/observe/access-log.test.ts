// Where the lines of the access log go, and what happens when they cannot go there.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, renameSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PerformanceObserver } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createAccessLog } from '../../../dist/src/observe/access-log.js';
import { makeFolder } from '../../support/command.js';
import { finished } from '../../support/finished-request.js';
import { createMemoryLog, root, venv } from '../../support/server.js';

async function open(accessLog: string, accessLogFormat = '%(R)s') {
  const memory = createMemoryLog();
  const log = createAccessLog({ accessLog, accessLogFormat }, memory.log);
  if (log === null) throw new Error('no log');
  await log.open();
  return { ...memory, log };
}

it('is off unless asked for', () => {
  expect(createAccessLog({ accessLog: null, accessLogFormat: 'combined' }, createMemoryLog().log)).toBeNull();
});

it('is added to the end of its file', async () => {
  const file = join(makeFolder({ 'access.log': 'before\n' }), 'access.log');
  const { log } = await open(file);
  for (let count = 0; count < 3000; count += 1) log.write(finished({ requestId: `id-${count}` }));
  await log.close();
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines[0]).toBe('before');
  expect(lines.slice(1, -1)).toEqual(Array.from({ length: 3000 }, (_, count) => `id-${count}`));
});

it('comes to its file without waiting for more', async () => {
  const file = join(makeFolder({}), 'access.log');
  const { log } = await open(file);
  log.write(finished());
  await expect.poll(() => readFileSync(file, 'utf8')).toBe('abc-1\n');
  await log.close();
});

it('goes into a new file once it is opened again', async () => {
  const folder = makeFolder({});
  const file = join(folder, 'access.log');
  const { log } = await open(file);
  log.write(finished({ requestId: 'old' }));
  await expect.poll(() => readFileSync(file, 'utf8')).toBe('old\n');
  renameSync(file, `${file}.1`);
  log.reopen();
  log.write(finished({ requestId: 'new' }));
  await log.close();
  expect(readFileSync(`${file}.1`, 'utf8')).toBe('old\n');
  expect(readFileSync(file, 'utf8')).toBe('new\n');
});

it('is pino’s JSON on demand, one object a line', async () => {
  const file = join(makeFolder({}), 'access.log');
  const { log } = await open(file, 'json');
  log.write(finished({ url: '/a"\n', mount: '/shop' }));
  await log.close();
  const text = readFileSync(file, 'utf8');
  expect(text.match(/\n/g)).toHaveLength(1);
  expect(JSON.parse(text)).toEqual({
    level: 30,
    time: expect.any(Number),
    requestId: 'abc-1',
    mount: '/shop',
    remoteAddress: '192.0.2.1',
    method: 'GET',
    url: '/a"\n',
    httpVersion: '1.1',
    status: 200,
    bytesSent: 1234,
    bytesReceived: 0,
    durationMs: 1500.25,
    waitMs: 3.5,
    referer: 'http://lido.test/',
    userAgent: 'curl/8',
    msg: 'request',
  });
});

it('goes to syslog by UDP, a line in each datagram', async () => {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { log } = await open(`syslog:127.0.0.1:${(socket.address() as AddressInfo).port}`);
  const received = once(socket, 'message');
  log.write(finished({ requestId: 'first' }));
  await log.close();
  const [message] = (await received) as [Buffer];
  expect(message.toString()).toMatch(
    new RegExp(String.raw`^<134>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ lido ${process.pid} access - - first$`),
  );
});

it('asks for the address of its syslog once, not for each line', async () => {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const questions: string[] = [];
  const observer = new PerformanceObserver((list) => {
    questions.push(...list.getEntries().map(({ name }) => name));
  });
  observer.observe({ entryTypes: ['dns'] });
  onTestFinished(() => observer.disconnect());
  const { log } = await open(`syslog:localhost:${(socket.address() as AddressInfo).port}`);
  let received = 0;
  socket.on('message', () => {
    received += 1;
  });
  for (let count = 0; count < 50; count += 1) log.write(finished());
  await log.close();
  await expect.poll(() => received).toBe(50);
  await expect.poll(() => questions).toEqual(['lookup']);
});

it.each([
  ['/no/such/folder/access.log', 'ENOENT'],
  ['syslog:/no/such/socket', 'ENOENT'],
  ['syslog:/dev/null', 'it is no socket'],
])('is refused at start where it cannot be opened: %s', async (accessLog, why) => {
  await expect(open(accessLog)).rejects.toThrow(`accessLog: ${accessLog}: `);
  await expect(open(accessLog)).rejects.toThrow(why);
});

/** A syslog as /dev/log leads to, which Node cannot be: it prints what it hears when it is told to, and binds anew each time. */
const SYSLOG = `
import os, socket, sys
s = None
for word in sys.stdin:
    if word == 'bind\\n':
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(sys.argv[1])
        print('bound', flush=True)
    elif word == 'hear\\n':
        print(s.recv(65536).decode(), flush=True)
    else:
        s.close()
        os.unlink(sys.argv[1])
        print('gone', flush=True)
`;

describe('the machine’s own syslog', () => {
  async function startSyslog() {
    const path = join(makeFolder({}), 'log');
    const child = spawn(join(venv, 'bin/python'), ['-c', SYSLOG, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const tell = async (word: 'bind' | 'hear' | 'leave') => {
      child.stdin.write(`${word}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('the syslog has ended');
      return value;
    };
    await tell('bind');
    return { path, tell };
  }

  it('hears each line as syslog(3) writes it', async () => {
    const { path, tell } = await startSyslog();
    const { log } = await open(`syslog:${path}`);
    log.write(finished({ requestId: 'first' }));
    log.write(finished({ requestId: 'x'.repeat(3000) }));
    await log.close();
    expect(await tell('hear')).toMatch(
      new RegExp(String.raw`^<134>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d lido\[${process.pid}\]: first$`),
    );
    expect(await tell('hear')).toMatch(/: x{2000}$/);
  });

  it('that is gone, or does not keep up, costs lines and is told of once', async () => {
    const { path, tell } = await startSyslog();
    const { log, lines } = await open(`syslog:${path}`);
    for (let count = 0; count < 20_000; count += 1) log.write(finished());
    await tell('leave');
    for (let count = 0; count < 2000; count += 1) log.write(finished());
    log.reopen(); // writes all that was gathered
    await tell('bind');
    log.write(finished({ requestId: 'after' }));
    await log.close();
    expect(lines.map(({ msg }) => msg)).toEqual([
      `the access log cannot be sent to ${path}: EAGAIN; serving goes on`,
    ]);
    expect(await tell('hear')).toMatch(/: after$/);
  });
});

it('tells once of a full disk, and ends all the same', async () => {
  const { log, lines, findLine } = await open('/dev/full');
  log.write(finished());
  const warning = await findLine(({ level }) => level === 40);
  expect(warning.msg).toMatch(
    /^the access log cannot be written to \/dev\/full: .*ENOSPC.*; serving goes on$/,
  );
  for (let count = 0; count < 10_000; count += 1) log.write(finished());
  await log.close();
  expect(lines.filter(({ level }) => level === 40)).toHaveLength(1);
});

it('keeps in memory what a disk does not take, up to a limit', async () => {
  const { log, lines } = await open('/dev/full', `%(R)s${'x'.repeat(8000)}`);
  for (let count = 0; count < 4000; count += 1) log.write(finished());
  // 32 MB were written by now, of which 8 may wait.
  expect(process.memoryUsage().arrayBuffers + process.memoryUsage().external).toBeLessThan(100e6);
  await log.close();
  expect(lines.length).toBeGreaterThan(0);
});

it('tells once of a pipe that nobody reads, and goes on', async () => {
  const script = `
    import { createAccessLog } from ${JSON.stringify(`${root}dist/src/observe/access-log.js`)};
    const say = (text) => process.stderr.write(text + '\\n');
    const log = createAccessLog({ accessLog: '-', accessLogFormat: '%(R)s' }, { warn: say, info: say, error: say });
    const line = { requestId: 'abc-1' };
    await log.open();
    log.write(line);
    process.stdin.on('data', () => { for (let count = 0; count < 9000; count += 1) log.write(line); });
    process.stdin.on('end', () => log.close().then(() => process.exit(7)));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  child.stdin.write('go');
  await expect.poll(() => told, { timeout: 5000 }).toContain('EPIPE');
  child.stdin.end('go');
  expect(await once(child, 'exit')).toEqual([7, null]);
  expect(told.split('\n')).toEqual([
    expect.stringMatching(
      /^the access log cannot be written to standard output: .*EPIPE.*; serving goes on$/,
    ),
    '',
  ]);
});
