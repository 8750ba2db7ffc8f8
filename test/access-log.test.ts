// The access log as its reader finds it: what was asked, what was answered, by whom, and how long it took.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, languages, root, startServer } from './support/server.js';

async function serve(settings: object, accessLogFormat = '%(s)s %(r)s %(B)s') {
  const file = join(makeFolder({}), 'access.log');
  const running = await startServer({ accessLog: file, accessLogFormat, ...settings });
  const read = () => readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return { ...running, read };
}

const hello = fixture('javascript', 'hello');

it.each(languages)(
  'has a line for each request of %s, with its status and the bytes of its body',
  async (language) => {
    const { port, server, read } = await serve(fixture(language, 'hello'));
    await exchange(port, get('/one?two'));
    await exchange(port, get('/', '', 'HEAD'), 'HEAD');
    await server.close();
    expect(read()).toEqual(['200 GET /one?two HTTP/1.1 14', '200 HEAD / HTTP/1.1 0']);
  },
);

it('has those that no application saw, and those that failed', async () => {
  const { port, server, read } = await serve({
    mounts: { '/hello': hello.application, '/fails': fixture('javascript', 'failsBefore').application },
  });
  for (const request of [
    get('/hello'),
    get('/fails'),
    get('/nowhere'),
    'GET /hello HTTP/1.1\r\n\r\n',
    'garbage\r\n\r\n',
  ])
    await exchange(port, request);
  await server.close();
  expect(read()).toEqual([
    expect.stringMatching(/^200 GET \/hello HTTP\/1.1 \d+$/),
    expect.stringMatching(/^500 GET \/fails HTTP\/1.1 \d+$/),
    expect.stringMatching(/^404 GET \/nowhere HTTP\/1.1 \d+$/),
    expect.stringMatching(/^400 GET \/hello HTTP\/1.1 \d+$/),
    '400 - 0',
  ]);
});

it('calls it 499 where the client went before it was answered', async () => {
  const application = `${makeFolder({ 'never.mjs': 'export const application = () => new Promise(() => {});' })}/never.mjs`;
  const { port, server, read } = await serve({ application, gracefulTimeout: 0.1 }, '%(s)s');
  const client = new RawClient(port);
  client.send(get('/'));
  await expect.poll(() => server.stats()[0]?.busy).toBe(1);
  client.socket.resetAndDestroy();
  await expect.poll(read).toEqual(['499']);
});

it('tells how long a request took, and what of that it waited for a worker', async () => {
  const source = `
    export function application(environ, startResponse) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      startResponse('200 OK', []);
      return ['slept'];
    }`;
  const application = `${makeFolder({ 'sleep.mjs': source })}/sleep.mjs`;
  const { port, server, read } = await serve({ application }, '%(M)s %(W)s');
  await Promise.all([exchange(port, get('/')), exchange(port, get('/'))]);
  await server.close();
  const [first = [], last = []] = read().map((line) => line.split(' ').map(Number));
  const [, firstWait] = first;
  const [second, secondWait] = last;
  expect(firstWait).toBeLessThan(90);
  expect(secondWait).toBeGreaterThanOrEqual(90);
  expect(second).toBeGreaterThanOrEqual(190);
});

it('shows fields of the request and of the answer, and the environ', async () => {
  const format = '%({X-Test}i)s %({content-type}o)s %({SERVER_PROTOCOL}e)s %({HTTP_X_TEST}e)s';
  const { port, server, read } = await serve(hello, format);
  await exchange(port, get('/', 'X-Test: a "b"\r\n'));
  await server.close();
  expect(read()).toEqual([String.raw`a \"b\" text/plain HTTP/1.1 a \"b\"`]);
});

it('is written by every process, in whole lines', async () => {
  const folder = makeFolder({});
  const file = join(folder, 'access.log');
  const server = await serveLido(
    [
      '--processes',
      '2',
      '--access-log',
      file,
      '--access-log-format',
      '%(r)s %(p)s',
      `${root}test/apps/applications.mjs:hello`,
    ],
    { cwd: folder },
  );
  const port = Number(new URL(server.url).port);
  await Promise.all(Array.from({ length: 40 }, (_, count) => exchange(port, get(`/${count}`))));
  server.child.kill('SIGTERM');
  await server.ended;
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  expect(
    lines.map((line) => Number(/^GET \/(\d+) HTTP\/1.1 <\d+>$/.exec(line)?.[1])).sort((a, b) => a - b),
  ).toEqual(Array.from({ length: 40 }, (_, count) => count));
  expect(new Set(lines.map((line) => line.split(' ').at(-1))).size).toBe(2);
});

it('lets serving go on, and the server end, with a full disk', async () => {
  const application = `${root}test/apps/applications.mjs:hello`;
  const server = await serveLido(['--access-log', '/dev/full', application], { cwd: root });
  const port = Number(new URL(server.url).port);
  await exchange(port, get('/'));
  await server.waitFor('ENOSPC');
  for (let count = 0; count < 20; count += 1) expect((await exchange(port, get('/'))).status).toBe(200);
  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
  expect(server.stderr().match(/ENOSPC/g)).toHaveLength(1);
});

it('goes to standard output, and lets serving go on when nobody reads that any more', async () => {
  const application = `${root}test/apps/applications.mjs:hello`;
  const server = await serveLido(['--access-log', '-', '--access-log-format', '%(r)s', application], {
    cwd: root,
  });
  const port = Number(new URL(server.url).port);
  const line = new Promise((resolve) => server.child.stdout?.once('data', resolve));
  await exchange(port, get('/'));
  expect(String(await line)).toBe('GET / HTTP/1.1\n');
  server.child.stdout?.destroy();
  await exchange(port, get('/'));
  await server.waitFor('EPIPE');
  expect((await exchange(port, get('/'))).status).toBe(200);
  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
});
