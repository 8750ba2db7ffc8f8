// --slow-request: what takes longer is logged once, with where it stands at that moment.
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished } from 'vitest';
import { SlowRequestWatch } from '../dist/src/observe/slow-requests.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, type LogLine, root, startServer, venv } from './support/server.js';

/** `/wait` is answered once the file `go` is there. */
const sources = {
  py: `
import os, time
def wait():
    while not os.path.exists(os.path.dirname(__file__) + '/go'):
        time.sleep(0.01)

def application(environ, start_response):
    if environ['PATH_INFO'] == '/wait':
        wait()
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

const isSlow = ({ code }: LogLine) => code === 'LIDO_SLOW_REQUEST';
let modules = 0;

async function serve(language: keyof typeof sources, slowRequest: number) {
  modules += 1;
  const name = `slow${modules}.${language}`;
  const folder = makeFolder({ [name]: sources[language] });
  const running = await startServer({
    application: `${folder}/${name}`,
    python: venv,
    threads: 2,
    slowRequest,
  });
  const go = () => writeFileSync(`${folder}/go`, '');
  onTestFinished(go);
  return { ...running, file: `${folder}/${name}`, go };
}

it('logs a slow request of Python once, with its stack', async () => {
  const { port, lines, findLine, file, go } = await serve('py', 0.2);
  const slow = exchange(port, get('/wait'));
  const line = await findLine(isSlow);
  expect(line).toMatchObject({
    level: 40,
    msg: 'the application has taken longer than 0.2 s; it stands here',
    method: 'GET',
    url: '/wait',
    requestId: expect.stringMatching(/^[0-9a-f]+-1$/),
  });
  expect(line.traceback).toContain(`File "${file}", line 9, in application\n    wait()\n`);
  expect(line.traceback).not.toContain('gateway.py');
  // When this one is seen, the first was seen again.
  const other = exchange(port, get('/wait'));
  await findLine((each) => isSlow(each) && each.requestId !== line.requestId);
  go();
  for (const { status } of await Promise.all([slow, other])) expect(status).toBe(200);
  expect(lines.filter(isSlow)).toHaveLength(2);
});

it('logs a slow request of JavaScript, with its stack where Node can tell', async () => {
  const { port, findLine, file, go } = await serve('mjs', 0.2);
  const slow = exchange(port, get('/wait'));
  const { msg, traceback } = await findLine(isSlow);
  if ('startCpuProfile' in Worker.prototype) expect(traceback).toContain(`in application (file://${file}:`);
  else expect(msg).toContain(`where it stands is not known: Node.js ${process.versions.node} cannot tell`);
  go();
  expect((await slow).status).toBe(200);
});

it('says of an asynchronous application that its thread waits', async () => {
  const folder = makeFolder({ 'never.mjs': 'export const application = () => new Promise(() => {});' });
  const { port, findLine, lines } = await startServer({
    application: `${folder}/never.mjs`,
    concurrency: 2,
    slowRequest: 0.1,
    timeout: 1,
  });
  const asked = ['/1', '/2'].map((path) => exchange(port, get(path)));
  await findLine(({ url }) => url === '/2');
  expect(lines.filter(isSlow).map(({ url }) => url)).toEqual(['/1', '/2']);
  expect(lines.find(isSlow)?.msg).toContain('; where its thread stands is not known: ');
  for (const { status } of await Promise.all(asked)) expect(status).toBe(504);
});

it('says nothing of a stream that has begun, in a loop', async () => {
  const { port, lines, findLine } = await startServer({
    application: `${root}test/apps/asgi_applications.py:deaf_streams`,
    python: venv,
    slowRequest: 0.1,
    gracefulTimeout: 0.1,
  });
  const [stream, slow] = [new RawClient(port), new RawClient(port)];
  stream.send(get('/stream'));
  await stream.readUntil('data: 1');
  slow.send(get('/slow'));
  await findLine(isSlow);
  expect(lines.filter(isSlow).map(({ url }) => url)).toEqual(['/slow']);
});

it('tells of ten within ten seconds, and of how many there were more', async () => {
  const { log, lines } = createMemoryLog();
  const exchanges = Array.from({ length: 25 }, (_, index) => ({
    id: index + 1,
    requestId: `a-${index}`,
    request: { method: 'GET' },
    url: '/',
    log,
    holder: null,
  }));
  const session = { runsOne: false, loop: null, exchanges, interruptTarget: null, load: 25 };
  const parts = { dispatcher: { sessions: new Set([session]) }, pool: { findThread: () => undefined } };
  const watch = new SlowRequestWatch({ ...parts, host: null, limitMs: 1000, log } as never);
  for (const now of [20_000, 20_999]) await watch.check(now);
  expect(lines).toEqual([]);
  for (const now of [21_000, 21_250, 29_999]) await watch.check(now);
  expect(lines.filter(isSlow)).toHaveLength(10);
  await watch.check(30_000);
  expect(lines.slice(10).map(({ msg }) => msg)).toEqual([
    '15 more requests took longer than 1 s within 10 s',
  ]);
});
