// Functions in a config file that are called when something happens to the server.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, type Running, runLido, serveLido } from './support/command.js';

const APPLICATION = `export function application(environ, startResponse) {
  if (environ.PATH_INFO === '/loops') for (;;);
  startResponse('200 OK', []);
  return ['hello'];
}
`;

/** Writes each call as a line "onReady {...}". */
const config = (more = '') => `import { writeSync } from 'node:fs';
const tell = (name) => (event = {}) => void writeSync(2, name + ' ' + JSON.stringify({ ...event, by: process.pid }) + '\\n');
export default {
  application: 'hello.mjs',
  threads: 2,
  timeout: 0.2,
  controlSocket: 'control.sock',
  onStarting: tell('onStarting'),
  onReady: tell('onReady'),
  onReload: ({ error }) => tell('onReload')({ error: error?.code ?? null }),
  onExit: tell('onExit'),
  onWorkerStart: tell('onWorkerStart'),
  onWorkerExit: tell('onWorkerExit'),
  onRequestEnd: tell('onRequestEnd'),
  ${more}
};
`;

const serve = async (words: readonly string[] = [], text = config()) => {
  const cwd = makeFolder({ 'hello.mjs': APPLICATION, 'lido.config.mjs': text });
  return { cwd, server: await serveLido(words, { cwd }) };
};

/** The events that a hook was called with so far. */
const calls = (server: Running, name: string) =>
  server
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith(`${name} {`))
    .map((line) => JSON.parse(line.slice(name.length)) as Record<string, unknown>);

describe.each([
  ['one process alone', []],
  ['two processes under a supervisor', ['--processes', '2']],
])('the hooks of %s', (_name, words) => {
  const processes = words.length === 0 ? 1 : 2;

  it('are told of the start, of each worker and request, and of the end', async () => {
    const { server } = await serve(words);
    await server.waitFor('onReady');
    expect(calls(server, 'onStarting')).toEqual([{ by: server.child.pid }]);
    expect(calls(server, 'onReady')).toEqual([{ addresses: [server.url], by: server.child.pid }]);
    const started = calls(server, 'onWorkerStart');
    expect(started).toHaveLength(2 * processes);
    expect(new Set(started.map(({ pid }) => pid)).size).toBe(processes);
    for (const worker of started) {
      expect(worker).toMatchObject({ mount: '/', thread: expect.any(Number) });
      expect(worker.by).toBe(worker.pid);
      expect(worker.pid === server.child.pid).toBe(processes === 1);
    }
    await (await fetch(`${server.url}/a?b`)).text();
    await server.waitFor('onRequestEnd');
    expect(calls(server, 'onRequestEnd')).toMatchObject([
      {
        id: expect.any(String),
        mount: '/',
        method: 'GET',
        url: '/a?b',
        status: 200,
        remoteAddress: '127.0.0.1',
        bytesSent: 5,
        bytesReceived: 0,
        durationMs: expect.any(Number),
        waitMs: expect.any(Number),
      },
    ]);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
    const ended = calls(server, 'onWorkerExit');
    expect(ended.map(({ pid, thread, reason }) => [pid, thread, reason]).sort()).toEqual(
      started.map(({ pid, thread }) => [pid, thread, null]).sort(),
    );
    expect(calls(server, 'onExit')).toEqual([{ by: server.child.pid }]);
  });

  it('are told why a worker was replaced', async () => {
    const { server } = await serve(words);
    expect((await fetch(`${server.url}/loops`)).status).toBe(504);
    await server.waitFor('onWorkerExit');
    expect(calls(server, 'onWorkerExit')).toMatchObject([
      { reason: 'the application took longer than 0.2 s' },
    ]);
  });

  it('do no harm where they fail', async () => {
    const failing = `onStarting: () => { throw new Error('one') },
  onReady: async () => { throw new Error('two') },
  onWorkerStart: async () => { throw new Error('three') },
  onRequestEnd: () => { throw new Error('four') },
  onExit: async () => { throw new Error('five') },`;
    const { server } = await serve(words, config(failing));
    expect(await (await fetch(server.url)).text()).toBe('hello');
    await server.waitFor('ERROR: the hook onRequestEnd failed: Error: four');
    server.child.kill('SIGTERM');
    const { code, stderr } = await server.ended;
    expect(code).toBe(0);
    for (const text of [
      'onStarting failed: Error: one',
      'onReady failed: Error: two',
      'onWorkerStart failed: Error: three',
    ])
      expect(stderr).toContain(`ERROR: the hook ${text}`);
    expect(stderr).toContain('ERROR: the hook onExit failed: Error: five');
  });
});

it('a reload reads hooks anew, and tells how it went', async () => {
  const { cwd, server } = await serve(['--supervise']);
  const reload = async (file: string, text: string) => {
    writeFileSync(join(cwd, file), text);
    return (await runLido(['reload', '--control-socket', 'control.sock'], { cwd })).code;
  };
  const anew = `onReload: ({ error }) => tell('onReload')({ anew: true, error: error?.code ?? null }),
  onRequestEnd: tell('onRequestEndAnew'),`;
  expect(await reload('lido.config.mjs', config(anew))).toBe(0);
  expect(calls(server, 'onReload')).toMatchObject([{ anew: true, error: null }]);
  await (await fetch(server.url)).text();
  await server.waitFor('onRequestEndAnew');
  expect(calls(server, 'onRequestEnd')).toEqual([]);
  expect(await reload('hello.mjs', 'throw new Error("broken");')).toBe(3);
  expect(calls(server, 'onReload')).toMatchObject([{ error: null }, { error: 'LIDO_IMPORT_FAILED' }]);
});

it('an error that a hook is called with is a LidoError of what the config file imports', async () => {
  const text = config("onReload: ({ error }) => tell('onReload')({ isOwn: error instanceof LidoError }),");
  const { cwd, server } = await serve(['--supervise'], `import { LidoError } from 'lido';\n${text}`);
  writeFileSync(join(cwd, 'hello.mjs'), 'throw new Error("broken");');
  expect((await runLido(['reload', '--control-socket', 'control.sock'], { cwd })).code).toBe(3);
  expect(calls(server, 'onReload')).toMatchObject([{ isOwn: true }]);
});

it('a hook that is misspelt is refused with the right spelling', async () => {
  const cwd = makeFolder({
    'lido.config.mjs': "export default {\n  application: 'hello.mjs',\n  onRedy: () => {},\n};\n",
  });
  expect(await runLido(['check'], { cwd })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('lido.config.mjs:3: unknown hook onRedy; did you mean onReady?'),
  });
});

it('what is no function, or a hook in a file that can hold none, is refused with its line', async () => {
  const cwd = makeFolder({
    'lido.config.toml': 'application = "hello.mjs"\nonReady = "echo"\n',
    'lido.config.json': '{ "onExit": true }',
  });
  const check = (file: string) => runLido(['check', '--config', file], { cwd });
  expect(await check('lido.config.toml')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      'lido.config.toml:2: onReady takes a function, which lido.config.js or .ts can hold',
    ),
  });
  expect((await check('lido.config.json')).stderr).toContain('lido.config.json:1: onExit takes a function');
});

it('defineConfig has their types', () => {
  const types = readFileSync(new URL('../dist/src/settings/config-file.d.ts', import.meta.url), 'utf8');
  expect(types).toContain('defineConfig(settings: UserSettings & Hooks)');
});
