// Where every worker stands this moment: `lido stacks`, and the admin listener's /stacks.
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ProcessStacks, WorkerStack } from '../dist/src/observe/stacks.js';
import { formatStacks } from '../dist/src/observe/stacks-text.js';
import { parseDump } from '../dist/src/python/stack-dump.js';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { startServer, venv } from './support/server.js';

/** Paths other than `/wait` and `/keep` are answered at once, and those once the file `go` is there, or after 4 seconds. */
const sources = {
  py: `
import ctypes, os, threading, time

def background():
    threading.Event().wait() # the poller stands here

threading.Thread(target=background, name='poller', daemon=True).start()

def wait():
    while not os.path.exists(os.path.dirname(__file__) + '/go'):
        time.sleep(0.01) # it waits here

def application(environ, start_response):
    if environ['PATH_INFO'] == '/wait':
        wait()
    if environ['PATH_INFO'] == '/keep':
        ctypes.PyDLL(None).sleep(4) # it keeps the GIL here
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'done']
`,
  mjs: `
import { existsSync } from 'node:fs';
const pause = new Int32Array(new SharedArrayBuffer(4));

function wait() {
  while (!existsSync(import.meta.dirname + '/go')) Atomics.wait(pause, 0, 0, 10);
}

export function application(environ, startResponse) {
  if (environ.PATH_INFO === '/wait') wait();
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['done'];
}
`,
};

const asgi = `
import asyncio
async def wait():
    await asyncio.sleep(60)

async def app(scope, receive, send):
    if scope['type'] == 'http':
        await wait()
`;

/** The process imports a module of a name once, so each test has one of its own. */
let modules = 0;

/** A server that runs `path` from then on until the test is over. */
async function serve(language: keyof typeof sources, path: string, settings: object = {}) {
  modules += 1;
  const name = `stands${modules}.${language}`;
  const folder = makeFolder({ [name]: sources[language] });
  const running = await startServer({
    application: `${folder}/${name}`,
    python: venv,
    threads: 2,
    admin: ['127.0.0.1:0'],
    ...settings,
  });
  const asked = exchange(running.port, get(path));
  onTestFinished(async () => {
    writeFileSync(`${folder}/go`, '');
    await asked;
  });
  return { file: `${folder}/${name}`, admin: running.server.adminAddresses[0] as string };
}

/** The first process's. */
async function readStacks(admin: string): Promise<ProcessStacks> {
  const stacks = (await (await fetch(`${admin}/stacks`)).json()) as Record<string, ProcessStacks>;
  return stacks[1] as ProcessStacks;
}

/** Where the worker stands that runs this path; asked until there is one. */
async function findWorker(admin: string, url: string): Promise<WorkerStack> {
  const find = async () =>
    (await readStacks(admin)).workers.find(
      ({ running, stack, reason }) =>
        running[0]?.url === url && (stack !== '' || reason.startsWith('Node.js')),
    );
  await expect.poll(find, { timeout: 10_000 }).toBeDefined();
  return (await find()) as WorkerStack;
}

const lineOf = (text: string) => sources.py.slice(0, sources.py.indexOf(text)).split('\n').length;

describe('the stacks of Python', () => {
  it('show each worker with its request, and the threads that the application started', async () => {
    const { admin, file } = await serve('py', '/wait');
    const busy = await findWorker(admin, '/wait');
    expect(busy.running[0]).toMatchObject({
      method: 'GET',
      requestId: expect.stringMatching(/^[0-9a-f]+-1$/),
    });
    expect(busy.running[0]?.ageMs).toBeGreaterThan(0);
    const frame = (name: string, text: string) => `  File "${file}", line ${lineOf(text)}, in ${name}\n`;
    expect(busy.stack).toContain(frame('application', '        wait()'));
    expect(busy.stack).toContain(', in wait\n');
    expect(busy.stack).not.toContain('gateway.py');
    const { workers, threads, isGilKept } = await readStacks(admin);
    expect(isGilKept).toBe(false);
    expect(workers.map(({ id }) => id)).toEqual([1, 2]);
    expect(workers.find(({ running }) => running.length === 0)).toMatchObject({ stack: '', reason: 'idle' });
    const [poller, ...others] = threads;
    expect([poller?.name, ...others]).toEqual(['poller']);
    expect(poller?.stack.startsWith(frame('background', 'threading.Event().wait()'))).toBe(true);
  });

  it('show where the task of each request of an ASGI application waits', async () => {
    const folder = makeFolder({ 'waits_async.py': asgi });
    const { port, server, findLine } = await startServer({
      application: `${folder}/waits_async.py`,
      python: venv,
      admin: ['127.0.0.1:0'],
      timeout: 3,
      slowRequest: 0.1,
    });
    const asked = ['/one', '/two'].map((path) => exchange(port, get(path)));
    const admin = server.adminAddresses[0] as string;
    await expect.poll(async () => (await readStacks(admin)).workers[0]?.running.length).toBe(2);
    const [worker] = (await readStacks(admin)).workers;
    expect(worker).toMatchObject({ stack: '', reason: 'idle' });
    const place = `  File "${folder}/waits_async.py", line 4, in wait\n    await asyncio.sleep(60)`;
    for (const { stack } of worker?.running ?? []) expect(stack).toContain(place);
    const line = await findLine(({ code }) => code === 'LIDO_SLOW_REQUEST');
    expect(line).toMatchObject({ url: '/one', msg: expect.stringMatching(/; it stands here$/) });
    expect(line.traceback).toContain(place);
    for (const { status } of await Promise.all(asked)) expect(status).toBe(504);
  });

  it('are told as far as may be while C code keeps the GIL', async () => {
    const { admin, file } = await serve('py', '/keep', { timeout: 0 });
    const place = `File "${file}", line ${lineOf('ctypes.PyDLL')}, in application`;
    const worker = `worker \\d of /: GET /keep \\[\\S+\\] for \\d\\.\\d s\n      ${place}`;
    const kept = 'process 1 \\(pid \\d+\\): C code has kept the GIL for a second: .*';
    const look = async () => (await fetch(`${admin}/stacks.txt`)).text();
    await expect.poll(look, { timeout: 10_000 }).toMatch(new RegExp(`^${kept}\n(.*\n)*  ${worker}`));
  });

  it('are read from what faulthandler writes', () => {
    const text = [
      'Thread 0x00007f31b67fc6c0 (most recent call first):',
      '  File "/srv/my "app".py", line 12 in inner',
      '  File "/srv/app.py", line 3 in application',
      '',
      'Thread 0x00007f31b67fc6c1 [poller] (most recent call first):',
      '  File "/srv/app.py", line 30 in background',
      '  File "/usr/lib/python3.14/threading.py", line 1023 in run',
      '  File "/usr/lib/python3.14/threading.py", line 1000 in _bootstrap',
      '',
      'Current thread 0x0000000000000001 (most recent call first):',
      '  <no Python frame>',
      '',
    ].join('\n');
    expect(parseDump(text)).toEqual([
      {
        worker: 0x7f31b67fc6c0,
        request: 0,
        tasks: [],
        name: '',
        stack: '  File "/srv/app.py", line 3, in application\n  File "/srv/my "app".py", line 12, in inner\n',
      },
      {
        worker: 0x7f31b67fc6c1,
        request: 0,
        tasks: [],
        name: 'poller',
        stack: '  File "/srv/app.py", line 30, in background\n',
      },
    ]);
  });
});

describe('the stacks of JavaScript', () => {
  it('show where each thread stands, or why that is not known', async () => {
    const { admin, file } = await serve('mjs', '/wait');
    const { stack, reason } = await findWorker(admin, '/wait');
    if ('startCpuProfile' in Worker.prototype) expect(stack).toContain(`in application (file://${file}:`);
    else expect(reason).toBe(`Node.js ${process.versions.node} cannot tell`);
    const { workers } = await readStacks(admin);
    expect(workers.find(({ running }) => running.length === 0)).toMatchObject({ stack: '', reason: 'idle' });
  });
});

describe('lido stacks', () => {
  it('asks all processes, and prints text or JSON', async () => {
    const folder = makeFolder({ 'stands.py': sources.py });
    const words = ['--processes', '2', '--threads', '1', '--python', venv, '--admin', `unix:${folder}/admin`];
    const { url, child, stderr } = await serveLido([...words, 'stands.py'], { cwd: folder });
    const waiting = fetch(`${url}/wait`);
    onTestFinished(async () => {
      writeFileSync(`${folder}/go`, '');
      await waiting;
    });
    const look = (...more: string[]) =>
      runLido(['stacks', '--admin', `unix:${folder}/admin`, ...more], { cwd: folder });
    await expect.poll(async () => (await look()).stdout, { timeout: 20_000 }).toMatch(/GET \/wait/);
    const { code, stdout } = await look();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^process 1 \(pid \d+\)\n {2}worker 1 of \/.*$/m);
    expect(stdout).toMatch(/^process 2 \(pid \d+\)\n {2}worker 1 of \/.*$/m);
    expect(stdout).toMatch(/^ {2}worker 1 of \/: GET \/wait \[\S+\] for \d+\.\d s$/m);
    expect(stdout).toMatch(/^ {2}worker 1 of \/: idle$/m);
    // Node's own answer to the signal is to open its debugger.
    child.kill('SIGUSR1');
    for (const [, pid] of stdout.matchAll(/pid (\d+)/g)) process.kill(Number(pid), 'SIGUSR1');
    expect((await look()).code).toBe(0);
    expect(stderr()).not.toContain('Debugger listening');
    const json = JSON.parse((await look('--json')).stdout) as Record<string, ProcessStacks>;
    expect(Object.keys(json)).toEqual(['1', '2']);
    expect(json[1]?.workers).toHaveLength(1);
  });

  it('tells of a process that does not answer, and lets nobody move the cursor', () => {
    const running = [
      { requestId: 'a-1', method: 'GET', url: '/\x1b[2J', ageMs: 1234, stack: '', isAnswered: false },
    ];
    const worker = { mount: '/', id: 1, running, stack: '', reason: 'idle' };
    const stacks = new Map([
      [1, null],
      [2, { pid: 7, isGilKept: false, workers: [worker], threads: [{ name: '', stack: 'row\x1b\n' }] }],
    ]);
    expect(formatStacks(stacks)).toBe(
      [
        'process 1: no answer: its main thread is busy, or stuck\n',
        'process 2 (pid 7)',
        '  worker 1 of /: GET /\\x1b[2J [a-1] for 1.2 s: idle',
        '  thread without a name',
        '    row\\x1b\n',
      ].join('\n'),
    );
  });
});
