// ASGI beside other applications: mounts, node:http, Fastify, several threads and processes, every Python that is here.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fastify from 'fastify';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import lido from '../dist/src/fastify.js';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { serveByNode } from './support/handler.js';
import { findPythons, hasOwnGils } from './support/python-process.js';
import { get, RawClient } from './support/raw-client.js';
import { root, startServer, venv } from './support/server.js';

const file = `${root}test/apps/asgi_applications.py`;
const application = (name: string) => ({ application: `${file}:${name}`, python: venv });

it('is mounted beside WSGI, in Python and in JavaScript', async () => {
  const { url } = await startServer({
    mounts: {
      '/asgi': application('hello'),
      '/wsgi': application('wsgi'),
      '/js': `${root}test/apps/applications.mjs:hello`,
    },
  });
  const read = async (path: string) => (await fetch(url + path)).text();
  expect(await Promise.all(['/asgi', '/wsgi', '/js'].map(read))).toEqual([
    'Hello, world!\n',
    'by WSGI\n',
    'Hello, world!\n',
  ]);
});

describe('behind node:http', () => {
  async function listen(name: string) {
    const port = await serveByNode(application(name));
    return { port, url: `http://127.0.0.1:${port}` };
  }

  it('streams both ways', async () => {
    const { port, url } = await listen('echo_pieces');
    const client = new RawClient(port);
    client.send(get('/', 'Transfer-Encoding: chunked\r\n', 'POST'));
    for (const piece of ['one', 'two']) {
      client.send(`3\r\n${piece}\r\n`);
      await client.readUntil(piece);
    }
    client.send('0\r\n\r\n');
    await client.readUntil('0\r\n\r\n');
    const body = Buffer.alloc(3_000_000, 'abc');
    const echoed = await fetch(url, { method: 'POST', body });
    expect(Buffer.from(await echoed.arrayBuffer()).equals(body)).toBe(true);
  });

  it('hears of a client that goes', async () => {
    const { port, url } = await listen('tells_disconnect');
    const client = new RawClient(port);
    client.send(get('/stream'));
    await client.readUntil('data: 1');
    client.socket.destroy();
    expect(await (await fetch(`${url}/told?2`)).json()).toEqual([
      'http.disconnect',
      'send raised ClientGone',
    ]);
  });
});

it('is a plugin of Fastify', async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  app.get('/own', () => 'by Fastify');
  await app.register(lido, { prefix: '/shop', ...application('show_scope') });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  expect(await (await fetch(`${url}/own`)).text()).toBe('by Fastify');
  expect(await (await fetch(`${url}/shop/cart?a=1`)).json()).toMatchObject({
    root_path: '/shop',
    path: '/shop/cart',
    query_string: 'a=1',
  });
});

it('runs in several threads where they are asked for, each with a loop of its own', async () => {
  const { url, server } = await startServer({ ...application('blocks_loop'), threads: 2 });
  expect(server.stats()[0]?.workers).toBe(2);
  const slow = fetch(`${url}/c?0.5`);
  await vi.waitUntil(() => server.stats()[0]?.sent === 1);
  const [one, other] = await Promise.all([slow, fetch(url)].map(async (answer) => (await answer).text()));
  expect(one).not.toBe(other);
});

it('answers once by lido call', async () => {
  const place = { cwd: `${root}test/apps` };
  const name = 'asgi_applications.py:show_scope';
  const called = await runLido(['call', '--python', venv, name, '/a?b=1'], place);
  expect(JSON.parse(called.stdout)).toMatchObject({ path: '/a', query_string: 'b=1' });
  const variables = {
    GATEWAY_INTERFACE: 'CGI/1.1',
    REQUEST_METHOD: 'GET',
    SCRIPT_NAME: '/cgi',
    PATH_INFO: '/c',
  };
  const asked = await runLido(['cgi', '--python', venv, name], { ...place, env: variables });
  const [head = '', body = ''] = asked.stdout.split('\r\n\r\n');
  expect(head).toContain('Status: 200 OK');
  expect(JSON.parse(body)).toMatchObject({ root_path: '/cgi', path: '/cgi/c', method: 'GET' });
});

it('ends with a program that leaves without closing it', async () => {
  const index = new URL('../dist/src/index.js', import.meta.url).href;
  const cwd = makeFolder({
    'program.mjs': `
import { createHandler } from '${index}';
await createHandler({ application: '${file}:lifespan', python: '${venv}' }).ready();
process.exit(0);`,
  });
  const told = `${cwd}/told`;
  execFileSync(process.execPath, ['program.mjs'], { cwd, env: { ...process.env, LIDO_TEST_FILE: told } });
  expect(readFileSync(told, 'utf8').match(/^\w+/gm)).toEqual(['startup', 'shutdown']);
});

describe.each(findPythons())('Python %s', (_version, python) => {
  it('serves, streams, parts contexts, and cancels', async () => {
    const place = { cwd: makeFolder({}), env: { LIDO_TEST_FILE: '/dev/null' } };
    const words = ['--python', python, '--no-supervise', '--timeout', '0.5'];
    const mounts = ['hello', 'echo_pieces', 'context', 'waits', 'lifespan'].flatMap((name) => [
      '--mounts',
      `/${name}=${file}:${name}`,
    ]);
    const { child, url, ended } = await serveLido([...words, ...mounts], place);
    const read = async (path: string, init: RequestInit = {}) => (await fetch(url + path, init)).text();
    expect(await read('/hello')).toBe('Hello, world!\n');
    const body = 'x'.repeat(200_000);
    expect(await read('/echo_pieces', { method: 'POST', body })).toBe(body);
    expect([await read('/context'), await read('/context')]).toEqual(['unset', 'unset']);
    expect((await fetch(`${url}/waits/forever`)).status).toBe(504);
    expect(JSON.parse(await read('/lifespan'))).toEqual({ shared: 0, own: 1 });
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
  });
});

describe.each(findPythons().filter(([, python]) => hasOwnGils(python)))('Python %s', (_version, python) => {
  it('is recognised in isolated interpreters, and has an application and a loop in each', async () => {
    const cwd = makeFolder({});
    const told = `${cwd}/told`;
    const isolated = [
      '--python',
      python,
      '--python-interpreter',
      'isolated',
      '--threads',
      '2',
      '--no-supervise',
    ];
    const words = [...isolated, `${file}:lifespan`];
    const { child, url, ended } = await serveLido(words, { cwd, env: { LIDO_TEST_FILE: told } });
    expect(await (await fetch(url)).json()).toEqual({ shared: 0, own: 1 });
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
    expect(readFileSync(told, 'utf8').match(/^\w+/gm)?.sort()).toEqual([
      'shutdown',
      'shutdown',
      'startup',
      'startup',
    ]);
    const refused = await runLido([...isolated, '--interface', 'wsgi', `${file}:hello`], { cwd });
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('LIDO_ASGI_APPLICATION')]);
  });
});
