import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  createHandler,
  createServer,
  type Handler,
  type HandlerOptions,
  LidoError,
  type ServerOptions,
} from '../dist/src/index.js';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, fixture, languages, root, venv } from './support/server.js';

const APPLICATIONS = `${root}test/apps/applications.mjs`;

function makeHandler(options: HandlerOptions): Handler & ReturnType<typeof createMemoryLog> {
  const memory = createMemoryLog();
  const handler = createHandler({ threads: 1, log: memory.log, ...options });
  onTestFinished(() => handler.close());
  return Object.assign(handler, memory);
}

/** Serves with plain node:http; Express is such a listener too. */
async function listen(listener: http.RequestListener): Promise<{ server: http.Server; port: number }> {
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close().closeAllConnections());
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function askEnviron(port: number, path: string): Promise<Record<string, string>> {
  const { body } = await exchange(port, get(path));
  const lines = body.toString().trimEnd().split('\n');
  return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
}

describe.each(languages)('createHandler under node:http, in %s', (language) => {
  it('answers, streams both ways, and tells what it is at', async () => {
    const handler = makeHandler(fixture(language, 'echo'));
    await handler.ready();
    const { port } = await listen(handler);
    const body = Buffer.alloc(2_000_000, 'abcdefg');
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'PUT', body });
    expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
    expect(handler.stats()).toMatchObject([{ mount: '/', workers: 1, sent: 0, waiting: 0 }]);
  });

  it('lets the first requests wait until the application is there', async () => {
    const { port } = await listen(makeHandler(fixture(language, 'hello')));
    const responses = await Promise.all([exchange(port, get('/')), exchange(port, get('/'))]);
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('drops the first requests whose clients are gone by the time that the application is there', async () => {
    const handler = makeHandler({ ...fixture(language, 'hello'), gracefulTimeout: 1 });
    const { server, port } = await listen(handler);
    const client = new RawClient(port);
    const closed = once(server, 'connection').then(([socket]) => once(socket, 'close'));
    client.send(get('/a') + get('/b'));
    await once(server, 'request');
    client.socket.destroy();
    await closed;
    await handler.ready();
    await handler.close();
    expect(handler.lines).toEqual([]);
  });

  it('finishes what runs and what waits when it is closed, and refuses what comes later', async () => {
    const handler = makeHandler(fixture(language, 'misbehaves'));
    await handler.ready();
    const { port } = await listen(handler);
    const clients = Array.from({ length: 5 }, () => new RawClient(port));
    const taken = new Promise<void>((resolve) => {
      const look = () => {
        const [stats] = handler.stats();
        if ((stats?.sent ?? 0) + (stats?.waiting ?? 0) === 5) resolve();
        else setImmediate(look);
      };
      look();
    });
    for (const client of clients) client.send(get('/sleep?0.2'));
    await taken;
    const closed = handler.close();
    const responses = await Promise.all(clients.map((client) => client.readResponse()));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    for (const { headers } of responses) expect(headers.connection).toBe('close');
    await closed;
    const late = await exchange(port, get('/'));
    expect([late.status, late.headers['retry-after']]).toEqual([503, '1']);
  });
});

describe('createHandler', () => {
  it('rejects with the traceback of an application that fails, and answers 503', async () => {
    const handler = makeHandler({ application: `${root}test/apps/raises_on_import.py`, python: venv });
    const error = await handler.ready().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LidoError);
    expect((error as LidoError).traceback).toContain('raises_on_import.py", line');
    expect((error as LidoError).stack).toContain('raises_on_import.py", line');
    const { port } = await listen(handler);
    expect((await exchange(port, get('/'))).status).toBe(503);
  });

  it('adds to the environ, in bytes as text', async () => {
    const handler = makeHandler({
      application: `${APPLICATIONS}:showEnviron`,
      environ: ({ headers }) => ({ REMOTE_USER: `日本 ${headers['x-name']}` }),
    });
    const { port } = await listen(handler);
    const { body } = await exchange(port, get('/', 'X-Name: ada\r\n'));
    expect(body.toString()).toContain('\nREMOTE_USER=日本 ada\n');
  });

  it('answers 500 when the addition fails, and logs why', async () => {
    const handler = makeHandler({
      application: `${APPLICATIONS}:hello`,
      environ: ({ url }) => (url === '/' ? { REMOTE_USER: 5 as never } : JSON.parse('{')),
    });
    const { port } = await listen(handler);
    expect((await exchange(port, get('/'))).status).toBe(500);
    await handler.findLine(({ msg }) => msg.includes('environ: REMOTE_USER is number, not a string'));
    expect((await exchange(port, get('/other'))).status).toBe(500);
    await handler.findLine(({ msg }) => msg.includes('SyntaxError'));
  });

  it('says 100 Continue once, when node:http has said it already', async () => {
    const { port } = await listen(makeHandler({ application: `${APPLICATIONS}:echo` }));
    const client = new RawClient(port);
    client.send(get('/', 'Content-Length: 3\r\nExpect: 100-continue\r\n', 'POST'));
    expect(await client.readUntil('\r\n\r\n')).toContain('100 Continue');
    client.send('abc');
    const response = await client.readResponse({ informational: true });
    expect([response.status, response.body.toString()]).toEqual([200, 'abc']);
  });

  it('serves mounts', async () => {
    const { port } = await listen(makeHandler({ mounts: { '/shop': `${APPLICATIONS}:showEnviron` } }));
    expect(await askEnviron(port, '/shop/x')).toMatchObject({ SCRIPT_NAME: '/shop', PATH_INFO: '/x' });
    expect((await exchange(port, get('/'))).status).toBe(404);
  });

  it('is closed before it was started, twice, and while it starts', async () => {
    const handler = createHandler({ application: `${APPLICATIONS}:hello`, threads: 1 });
    await Promise.all([handler.close(), handler.close()]);
    await expect(handler.ready()).rejects.toMatchObject({ code: 'LIDO_SHUTTING_DOWN' });
    const starting = createHandler({ application: `${APPLICATIONS}:hello`, threads: 1 });
    const ready = starting.ready();
    await starting.close();
    await ready;
  });
});

describe('createHandler under Express', () => {
  it('is closed although its application is not loaded within gracefulTimeout', async () => {
    const flag = `${makeFolder({})}/loaded`;
    const folder = makeFolder({
      'held.mjs': `import { existsSync } from 'node:fs';
        while (!existsSync('${flag}')) await new Promise((resolve) => setTimeout(resolve, 10));
        export function application() {}`,
    });
    const handler = makeHandler({ application: `${folder}/held.mjs`, gracefulTimeout: 0.2 });
    const ready = expect(handler.ready()).rejects.toMatchObject({ code: 'LIDO_SHUTTING_DOWN' });
    await handler.close();
    await handler.findLine(({ msg }) => msg.startsWith('an application is still being loaded'));
    writeFileSync(flag, '');
    await ready;
  });

  it('takes the mount point for SCRIPT_NAME, nested ones too', async () => {
    const handler = makeHandler({ application: `${APPLICATIONS}:showEnviron` });
    const nested = express.Router().use('/admin', handler);
    const app = express().use('/shop', nested).use('/shop', handler).use('/one/:id', handler);
    const { port } = await listen(app.get('/', (_, response) => void response.send('own')));
    for (const [path, name, info] of [
      ['/shop', '/shop', ''],
      ['/shop/', '/shop', '/'],
      ['/shop?x=1', '/shop', ''],
      ['/shop/a%20b?x', '/shop', '/a b'],
      ['/shop/admin/x', '/shop/admin', '/x'],
      ['/one/caf%C3%A9/x', '/one/café', '/x'],
    ]) {
      const { SCRIPT_NAME, PATH_INFO, REQUEST_URI } = await askEnviron(port, path as string);
      expect([SCRIPT_NAME, PATH_INFO, REQUEST_URI]).toEqual([name, info, path]);
    }
    expect((await exchange(port, get('/'))).body.toString()).toBe('own');
  });

  it('sends the cookies and the Vary of middleware beside its own', async () => {
    const handler = makeHandler({ application: `${APPLICATIONS}:headFromQuery` });
    const app = express().use((_request, response, next) => {
      response.setHeader('Vary', 'Origin').setHeader('Set-Cookie', ['a=1']).setHeader('X-Mine', 'kept');
      next();
    });
    const { port } = await listen(app.use(handler));
    const headers = Object.entries({ 'Set-Cookie': 'b=2', Vary: 'Cookie' });
    const head = JSON.stringify({ headers });
    const { rawHeaders } = await exchange(port, get(`/?${encodeURIComponent(head)}`));
    const sent = rawHeaders.map(([name, value]) => `${name.toLowerCase()}: ${value}`);
    expect(sent).toEqual(
      expect.arrayContaining([
        'set-cookie: a=1',
        'set-cookie: b=2',
        'vary: Origin',
        'vary: Cookie',
        'x-mine: kept',
      ]),
    );
  });

  it('says so when a body parser was there first', async () => {
    const handler = makeHandler({ application: `${APPLICATIONS}:echo` });
    const { port } = await listen(express().use(express.json(), handler));
    const request = get('/', 'Content-Type: application/json\r\nContent-Length: 2\r\n', 'POST');
    expect((await exchange(port, `${request}{}`)).status).toBe(500);
    expect(await handler.findLine(({ code }) => code === 'LIDO_BODY_ALREADY_READ')).toBeDefined();
    expect((await exchange(port, `${get('/', 'Content-Length: 2\r\n', 'POST')}{}`)).body.toString()).toBe(
      '{}',
    );
  });
});

describe('createServer', () => {
  it('listens, tells where and what it is at, and closes', async () => {
    const { log } = createMemoryLog();
    const server = createServer({
      application: `${APPLICATIONS}:hello`,
      bind: ['127.0.0.1:0'],
      threads: 1,
      log,
    });
    await server.listen();
    const [url = ''] = server.addresses;
    expect(await (await fetch(url)).text()).toBe('Hello, world!\n');
    expect(server.stats()).toMatchObject([{ mount: '/', workers: 1, busy: 0 }]);
    await server.close();
    await expect(fetch(url)).rejects.toThrow();
  });

  it.each(languages)('never listens when it is closed while it imports %s', async (language) => {
    const { log } = createMemoryLog();
    const server = createServer({ ...fixture(language, 'hello'), bind: ['127.0.0.1:0'], threads: 2, log });
    const listening = server.listen();
    expect(await server.close()).toBe(false);
    await expect(listening).rejects.toMatchObject({ code: 'LIDO_SHUTTING_DOWN' });
    expect(server.addresses).toEqual([]);
  });

  it('listens no longer when it is closed while it begins to', async () => {
    const { log } = createMemoryLog();
    const path = `${makeFolder({})}/lido.sock`;
    const server = createServer({
      ...fixture('javascript', 'hello'),
      bind: [`unix:${path}`],
      threads: 1,
      log,
    });
    const listening = server.listen().catch(() => {});
    while (server.stats()[0]?.runtime === '') await new Promise(setImmediate);
    expect(await server.close()).toBe(true);
    await listening;
    await expect(once(connect(path), 'connect')).rejects.toThrow(/ECONNREFUSED|ENOENT/);
  });
});

describe('the options', () => {
  const application = 'a.js';

  it('refuse at once what would do nothing', () => {
    const { log } = createMemoryLog();
    // @ts-expect-error the program's own business
    expect(() => createHandler({ application, bind: ['127.0.0.1:0'] })).toThrow('option bind: not for Lido');
    // @ts-expect-error the program's own business
    expect(() => createHandler({ application, keepalive: 1 })).toThrow('option keepalive: not for Lido');
    // @ts-expect-error the program's own business
    expect(() => createServer({ application, chdir: '/' })).toThrow('option chdir: not for Lido');
    expect(() => createServer({ application, log, logLevel: 'info' })).toThrow('option logLevel: the log');
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    [undefined, 'option application: is missing: name what to serve'],
    [{}, 'option application: is missing: name what to serve'],
    ['a.js', `the options: are an object, such as { application: 'hello.js' }, not "a.js"`],
    [
      { application, log: {} },
      'option log: takes a pino logger or what has its error(), warn() and info(), not {}',
    ],
    [{ application, log: 'info' }, 'option log: takes a pino logger'],
    [{ application, environ: { USER: 'ada' } }, 'option environ: takes a function'],
    [{ application, environ: async () => ({}) }, 'not async, not an async function'],
  ];

  it.each(wrong)('refuse at once %j', (options, message) => {
    const make = () => createHandler(options as HandlerOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: 'LIDO_WRONG_OPTION' }));
    expect(make).toThrow(expect.objectContaining({ remedy: expect.not.stringContaining('lido --help') }));
  });

  it('refuse at once a server without an application', () => {
    const create = createServer as (options?: ServerOptions) => unknown;
    for (const options of [undefined, {}])
      expect(() => create(options)).toThrow('option application: is missing');
  });

  it.each([() => null, () => 5, () => Promise.resolve({ USER: 'ada' })])(
    'answer 500, with one line in the log, where environ gives no texts: %s',
    async (environ) => {
      const { log, findLine } = createMemoryLog();
      const handler = createHandler({
        application: `${APPLICATIONS}:hello`,
        threads: 1,
        log,
        environ: environ as never,
      });
      onTestFinished(() => handler.close());
      const server = http.createServer(handler).listen(0, '127.0.0.1');
      onTestFinished(() => void server.close());
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      expect((await exchange(port, get('/'))).status).toBe(500);
      expect((await findLine(({ level }) => level === 50)).msg).toContain('not an object of texts');
    },
  );

  it('are typed', () => {
    // @ts-expect-error a number is wanted
    expect(() => createHandler({ application, threads: 'x' })).toThrow('option threads: takes a whole');
    // @ts-expect-error no such setting
    expect(() => createServer({ application, thread: 1 })).toThrow('did you mean threads?');
    // @ts-expect-error a mount has no address
    expect(() => createServer({ mounts: { '/': { application, bind: [':1'] } } })).toThrow('bind is for');
    // @ts-expect-error a mount names its application
    expect(() => createServer({ mounts: { '/': { threads: 1 } } })).toThrow('names no application');
    // @ts-expect-error text is wanted
    createHandler({ application, environ: () => ({ REMOTE_USER: 5 }) });
  });
});

describe('a process', () => {
  it('ends by itself after fifty starts and closes, and has grown little', async () => {
    const script = `
      import { readdirSync } from 'node:fs';
      import { createServer } from 'node:http';
      import { createHandler } from '${root}dist/src/index.js';
      async function serve() {
        const handler = createHandler({ application: '${APPLICATIONS}:hello', threads: 1, logLevel: 'silent' });
        const server = createServer(handler);
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
        const response = await fetch('http://127.0.0.1:' + server.address().port);
        if (await response.text() !== 'Hello, world!\\n') throw new Error('another answer');
        await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
        await handler.close();
        globalThis.gc();
        return { bytes: process.memoryUsage().rss, threads: readdirSync('/proc/self/task').length };
      }
      const runs = [];
      for (let count = 0; count < 50; count += 1) runs.push(await serve());
      console.log(JSON.stringify([runs[9], runs[49]]));
    `;
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script]);
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.pipe(process.stderr);
    expect((await once(child, 'close'))[0]).toBe(0);
    const [before, after] = JSON.parse(output) as { bytes: number; threads: number }[];
    expect(after?.threads).toBe(before?.threads);
    expect((after?.bytes ?? 0) - (before?.bytes ?? 0)).toBeLessThan(60 * 2 ** 20);
  });
});
