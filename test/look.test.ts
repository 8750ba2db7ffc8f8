// `lido stats` and `lido top`: what a running server does, in a terminal.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { drawScreen } from '../dist/src/server/look/screen.js';
import { makeFolder, runLido, serveLido, startLido } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { root, startServer, venv } from './support/server.js';

/** A server with one worker that runs `/wait` for ever, asked by a Unix socket. */
async function serveBusy(path = '/wait') {
  const folder = makeFolder({ 'waits.mjs': 'export const application = () => new Promise(() => {});' });
  const admin = `unix:${join(folder, 'admin.sock')}`;
  const { port, server } = await startServer({
    application: `${folder}/waits.mjs`,
    mounts: undefined,
    admin: [admin],
    gracefulTimeout: 0.1,
  } as never);
  void exchange(port, get(path)).catch(() => {});
  await expect.poll(() => server.stats()[0]?.busy).toBe(1);
  return { admin, folder, server };
}

it('stats prints what each worker runs, and everything as JSON', async () => {
  const { admin, folder } = await serveBusy();
  const { code, stdout } = await runLido(['stats', '--admin', admin], { cwd: folder });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^lido: ready; 1 process, \d+ MB, 1 connections\n/);
  expect(stdout).toMatch(/^1\/1 +busy +\S+ m?s +\/ +GET \/wait \[[0-9a-f]+-1\]$/m);
  const json = await runLido(['stats', '--json', '--admin', admin], { cwd: folder });
  expect(JSON.parse(json.stdout)).toMatchObject({
    readiness: { isReady: true },
    processes: [{ number: 1, applications: [{ workers: [{ state: 'busy', running: [{ url: '/wait' }] }] }] }],
  });
});

it('top shows it each second until the server is gone', async () => {
  const { admin, folder, server } = await serveBusy();
  const { child, ended } = startLido(['top', '--admin', admin], { cwd: folder });
  let shown = '';
  child.stdout?.on('data', (text: string) => {
    shown += text;
  });
  await expect.poll(() => shown.match(/GET \/wait/g)?.length ?? 0, { timeout: 5000 }).toBeGreaterThan(2);
  await server.close();
  expect(await ended).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`LIDO_NOT_REACHED no server answers at ${admin}: it ended`),
  });
});

/** Runs a command in a terminal of 24 lines and 100 columns, presses keys once it has shown what each is for, and prints all. */
const IN_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
keys = [key.split('=') for key in sys.argv[1].split(',')]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
seen = b''
try:
    while True:
        seen += os.read(fd, 65536)
        if keys and keys[0][0].encode() in seen:
            os.write(fd, keys.pop(0)[1].encode())
except OSError:
    pass
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

it('top sorts, pauses and quits by keys, and gives the terminal back', async () => {
  const { admin } = await serveBusy();
  const keys = 's: by worker=s,s: by time=p,p: go on=q';
  const words = [
    '-c',
    IN_TERMINAL,
    keys,
    process.execPath,
    `${root}dist/src/cli.js`,
    'top',
    '--admin',
    admin,
  ];
  const child = spawn(`${venv}/bin/python`, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let seen = '';
  child.stdout.on('data', (text: Buffer) => {
    seen += text.toString();
  });
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(seen).toContain('GET /wait');
  expect(seen).toContain('p: go on');
  expect(seen.startsWith('\x1b[?1049h')).toBe(true);
  expect(seen.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
});

const SITE = `export function application(environ, startResponse) {
  startResponse('200 OK', []);
  return ['served'];
}`;

/** A server that the command started, with these words, in a folder of its own. */
async function serveSite(...words: string[]) {
  const cwd = makeFolder({ 'site.mjs': SITE });
  const server = await serveLido([...words, 'site.mjs'], { cwd });
  await fetch(server.url);
  return { cwd, server, run: (...asked: string[]) => runLido(asked, { cwd }) };
}

const READY = expect.stringMatching(/^lido: ready; 1 process, .*\n1 requests so far/s);

it('the control socket answers as the admin listener does, and the pidfile leads to it', async () => {
  const { cwd, server, run } = await serveSite('--control-socket', 'control.sock', '--pidfile', 'lido.pid');
  await server.waitFor('serving');
  expect(await run('stats', '--control-socket', 'control.sock')).toMatchObject({ code: 0, stdout: READY });
  expect(await run('stats', '--pidfile', 'lido.pid')).toMatchObject({ code: 0, stdout: READY });
  const elsewhere = await runLido(['stats', '--pidfile', join(cwd, 'lido.pid')], { cwd: '/' });
  expect(elsewhere).toMatchObject({ code: 0, stdout: READY });
  const top = startLido(['top', '--pidfile', 'lido.pid'], { cwd });
  const stdout = top.child.stdout as Readable;
  await once(stdout, 'data');
  expect(await run('reload', '--pidfile', 'lido.pid')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('serving site.mjs'),
  });
  server.child.kill('SIGTERM');
  expect(await top.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('LIDO_NOT_REACHED') });
  expect(await server.ended).toMatchObject({ code: 0 });
  expect(readdirSync(cwd)).toEqual(['site.mjs']);
  expect(await run('stats', '--pidfile', 'lido.pid')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no server answers at lido.pid: no process is named there'),
  });
});

it('a pidfile leads to the admin listener where there is no control socket; that changes nothing', async () => {
  const { server, run } = await serveSite('--admin', '127.0.0.1:0', '--pidfile', 'lido.pid');
  expect(await run('stats', '--pidfile', 'lido.pid')).toMatchObject({ code: 0, stdout: READY });
  const [, admin = ''] = /admin at (http:\S+)/.exec(server.stderr()) ?? [];
  expect((await fetch(`${admin}/reload`, { method: 'POST' })).status).toBe(404);
  expect((await fetch(`${admin}/stats`, { method: 'POST' })).status).toBe(405);
});

it('a pidfile of a server that can be asked nowhere says what it takes', async () => {
  const { server, run } = await serveSite('--pidfile', 'lido.pid');
  expect(await run('top', '--pidfile', 'lido.pid')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      `pidfile: process ${server.child.pid} can be asked nowhere: start it with --control-socket PATH`,
    ),
  });
  const sent = await run('reload', '--pidfile', 'lido.pid');
  expect(sent).toMatchObject({ code: 0, stdout: expect.stringContaining('SIGHUP is sent to process') });
  await server.waitFor('the application is loaded anew');
});

it('asks and signals no program that is none of Lido, though a pidfile names it', async () => {
  const folder = makeFolder({});
  const other = spawn('sleep', ['60']);
  onTestFinished(() => void other.kill('SIGKILL'));
  writeFileSync(join(folder, 'lido.pid'), `${other.pid}\n`);
  for (const command of ['reload', 'stats'])
    expect(await runLido([command, '--pidfile', 'lido.pid'], { cwd: folder })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`process ${other.pid} has not written lido.pid.json`),
    });
  expect([other.exitCode, other.signalCode]).toEqual([null, null]);
});

it('what the command line names is asked, whatever the config file names', async () => {
  const { cwd, run } = await serveSite('--control-socket', 'control.sock');
  writeFileSync(join(cwd, 'lido.config.toml'), 'controlSocket = "another.sock"\n');
  expect(await run('stats', '--control-socket', 'control.sock')).toMatchObject({ code: 0, stdout: READY });
  const other = await run('stats', '--admin', 'unix:none.sock');
  expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('at unix:none.sock: ENOENT') });
  const file = await run('stats');
  expect(file).toMatchObject({ code: 1, stderr: expect.stringContaining('at unix:another.sock: ENOENT') });
});

it('says where nobody answers, and what it takes', async () => {
  const folder = makeFolder({});
  const nobody = await runLido(['stats', '--admin', `unix:${folder}/none.sock`], { cwd: folder });
  expect(nobody.code).toBe(1);
  expect(nobody.stderr).toContain(`LIDO_NOT_REACHED no server answers at unix:${folder}/none.sock: ENOENT`);
  const nowhere = await runLido(['top'], { cwd: folder });
  expect(nowhere).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('controlSocket: name it, or admin, or pidfile'),
  });
  const word = await runLido(['stats', 'hello.js:application'], { cwd: folder });
  expect(word).toMatchObject({ code: 2, stderr: expect.stringContaining('stats takes no words') });
});

const worker = (id: number, ageMs: number, url: string) => ({
  id,
  state: 'busy',
  queued: 2,
  heap: null,
  cpu: null,
  gilWait: null,
  running: [{ requestId: 'a-1', method: 'GET', url, ageMs }],
});
const overview = {
  now: 10_000,
  readiness: { isReady: false, reasons: ['process 1: draining'] },
  processes: [
    {
      number: 1,
      vitals: { residentMemory: 50e6 },
      connections: { active: 1, idle: 2 },
      applications: [
        {
          mount: '/shop',
          threads: { min: 1, max: 8 },
          workers: [worker(1, 5, '/a'), worker(2, 7000, '/\x1b[2J\u202e')],
        },
      ],
    },
  ],
  history: [
    {
      requestsPerSecond: 12.34,
      errorsPerSecond: 0,
      p50: 1.5,
      p95: 20,
      p99: 1500,
      waitShare: 0.256,
      waiting: 3,
      busy: 2,
      workers: 2,
    },
  ],
  requests: 7,
  failures: { LIDO_TIMED_OUT: 2, LIDO_BACKLOG_FULL: 3, 'LIDO_REQUEST_REFUSED 404': 1 },
  slowest: [{ requestId: 'a-1', method: 'GET', url: '/\x1b[3J', durationMs: 2500, waitMs: 12 }],
  errors: [{ at: 4000, code: 'LIDO_TIMED_OUT', method: 'GET', url: '/b', message: 'too\nlong' }],
  restarts: [],
} as never;

it('draws a screen that nobody can move the cursor on, sorted as asked', () => {
  expect(drawScreen(overview, 'by time', 200, 50)).toEqual([
    'lido: not ready: process 1: draining; 1 process, 50 MB, 3 connections',
    '7 requests so far, 6 of them failed or refused: 3 LIDO_BACKLOG_FULL, 2 LIDO_TIMED_OUT, 1 LIDO_REQUEST_REFUSED 404',
    '12.3 requests/s, 0.0 errors/s; p50 1.5 ms, p95 20 ms, p99 1.5 s',
    '2 of 2 (1 to 8) workers busy; 3 in the backlog; 26 % of the time is waiting',
    '',
    'WORKER  STATE          FOR QUEUED  MOUNT        RUNS NOW',
    '1/2     busy         7.0 s      2  /shop        GET /?[2J? [a-1]',
    '1/1     busy        5.0 ms      2  /shop        GET /a [a-1]',
    '',
    'slowest lately: GET /?[3J [a-1] took 2.5 s, of which it waited 12 ms',
    'last error, 6.0 s ago: LIDO_TIMED_OUT GET /b too?long',
  ]);
  const small = drawScreen(overview, 'by worker', 20, 7);
  expect(small).toHaveLength(7);
  expect(small.every((line) => line.length <= 20)).toBe(true);
  expect(small[6]).toBe('1/1     busy       …');
});
