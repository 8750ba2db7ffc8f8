import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createServer } from '../dist/src/index.js';
import { readEnvironment, resolveUserSettings, type UserSettings } from '../dist/src/settings/resolve.js';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { fixture, type RunningServer, root, startServer, venv } from './support/server.js';

const JAVASCRIPT = `${root}test/apps/applications.mjs`;
const PYTHON = `${root}test/apps/applications.py`;

async function askEnviron(server: RunningServer, path: string): Promise<Record<string, string>> {
  const { body } = await exchange(server.port, get(path));
  const lines = body.toString().trimEnd().split('\n');
  return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
}

async function askMount(server: RunningServer, path: string): Promise<(string | undefined)[]> {
  const { SCRIPT_NAME, PATH_INFO } = await askEnviron(server, path);
  return [SCRIPT_NAME, PATH_INFO];
}

describe('mounts', () => {
  it('split the path at a segment; the longest that fits wins, and the root takes the rest', async () => {
    const application = `${JAVASCRIPT}:showEnviron`;
    const mounts = {
      '/shop': application,
      '/': application,
      '/shop/admin': application,
      '/café': application,
    };
    const server = await startServer({ mounts });
    for (const [path, name, info] of [
      ['/', '', '/'],
      ['/shop', '/shop', ''],
      ['/shop?/admin', '/shop', ''],
      ['/shop/', '/shop', '/'],
      ['/shop/a%20b', '/shop', '/a b'],
      ['/sh%6Fp/x', '/shop', '/x'],
      ['/shopping', '', '/shopping'],
      ['/shop/admin', '/shop/admin', ''],
      ['/shop/administration', '/shop', '/administration'],
      ['/shop//admin', '/shop', '//admin'],
      ['//shop', '', '//shop'],
      ['/shop/../x', '/shop', '/../x'],
      ['/caf%C3%A9/x', '/café', '/x'],
      ['http://lido.test/shop/x', '/shop', '/x'],
      ['/SHOP', '', '/SHOP'],
    ] as const)
      expect([path, await askMount(server, path)]).toEqual([path, [name, info]]);
    expect((await askEnviron(server, '/shop/a%20b')).REQUEST_URI).toBe('/shop/a%20b');
    expect((await exchange(server.port, get('*', '', 'OPTIONS'))).status).toBe(200);
  });

  it('run both languages side by side, each with settings of its own', async () => {
    const server = await startServer({
      threads: 2,
      mounts: {
        '/small': { application: `${JAVASCRIPT}:countBody`, maxBodySize: 10 },
        '/python': { application: `${PYTHON}:countBody`, python: venv, threads: 1 },
      },
    });
    const post = (path: string) =>
      exchange(server.port, `${get(path, 'Content-Length: 11\r\n', 'POST')}01234567890`);
    expect((await post('/small')).status).toBe(413);
    expect((await post('/python')).body.toString()).toBe('11 573');
    expect(server.server.stats()).toMatchObject([
      { mount: '/python', application: `${PYTHON}:countBody`, workers: 1, busy: 0, sent: 0, waiting: 0 },
      { mount: '/small', workers: 2 },
    ]);
    expect(server.server.stats()[0]?.runtime).toMatch(/Python 3/);
  });

  it('answer 404 where none is, and keep the connection; a malformed request is called so', async () => {
    const server = await startServer({ mounts: { '/shop': `${JAVASCRIPT}:hello` } });
    const { status, headers, body } = await exchange(server.port, get('/nowhere'));
    expect([status, headers.connection, body.toString()]).toEqual([
      404,
      'keep-alive',
      '404 Not Found\n\nnothing is served at this path\n',
    ]);
    expect((await exchange(server.port, get('/nowhere', 'Content-Length: 5\r\n', 'POST'))).status).toBe(404);
    expect((await exchange(server.port, get('/nowhere', 'Host: other\r\n'))).status).toBe(400);
    expect((await exchange(server.port, get('/shop'))).status).toBe(200);
  });

  it('that cannot be loaded keep the others from being served', async () => {
    const mounts = { '/': `${JAVASCRIPT}:hello`, '/shop': `${JAVASCRIPT}:none` };
    const server = createServer({ bind: ['127.0.0.1:0'], mounts, threads: 1 });
    await expect(server.listen()).rejects.toMatchObject({ code: 'LIDO_CALLABLE_NOT_FOUND' });
    expect(server.addresses).toEqual([]);
  });

  it('of one process share one Python', async () => {
    const base = 'import sys; print(sys._base_executable)';
    const other = execFileSync(`${venv}/bin/python`, ['-c', base], { encoding: 'utf8' }).trim();
    const mounts = {
      '/': { application: `${PYTHON}:hello`, python: venv },
      '/shop': { application: `${PYTHON}:hello`, python: other },
    };
    const server = createServer({ bind: ['127.0.0.1:0'], mounts, threads: 1 });
    await expect(server.listen()).rejects.toMatchObject({ code: 'LIDO_OTHER_PYTHON_LOADED' });
  });
});

describe('the command', () => {
  it.each([
    [
      'lido.config.json',
      '{"mounts": {"/": "site.mjs", "/shop": {"application": "site.mjs", "threads": 1}}}',
      [],
    ],
    [
      'lido.config.toml',
      '[mounts]\n"/" = "site.mjs"\n[mounts."/shop"]\napplication = "site.mjs"\nthreads = 1\n',
      [],
    ],
    ['unused.txt', '', ['--mounts', '/=site.mjs', '--mounts', '/shop=site.mjs']],
  ])('serves the mounts of %s', async (name, text, flags) => {
    const code = `export function application({ SCRIPT_NAME }, start) { start('200 OK', []); return [SCRIPT_NAME]; }`;
    const cwd = makeFolder({ 'site.mjs': code, [name]: text });
    const server = await serveLido(['--threads', '1', ...flags], { cwd });
    expect(server.stderr()).toMatch(
      /serving \/ \(site\.mjs by Node\.js \S+ on 1 thread\), \/shop \(site\.mjs/,
    );
    expect(await (await fetch(`${server.url}/shop/x`)).text()).toBe('/shop');
    const { stdout } = await runLido(['check', ...flags], { cwd });
    expect(stdout.match(/site\.mjs is ready to be served by Node/g)).toHaveLength(2);
  });

  it('tells of every application that fails, once for each', async () => {
    const cwd = makeFolder({
      'first.mjs': `throw new Error('no database');`,
      'second.mjs': `throw new Error('no cache');`,
      'good.mjs': 'export function application() {}',
    });
    const mounts = ['/=first.mjs', '/again=first.mjs', '/good=good.mjs', '/second=second.mjs'];
    const words = mounts.flatMap((mount) => ['--mounts', mount]);
    for (const action of [['check'], []]) {
      const { code, stderr } = await runLido([...action, '--bind', '127.0.0.1:0', ...words], { cwd });
      expect(stderr.match(/^Error: .*|^lido: .*/gm)).toEqual([
        'Error: no database',
        expect.stringMatching(
          /^lido: LIDO_IMPORT_FAILED .*first\.mjs failed while Node\.js [\d.]+ imported it$/,
        ),
        'Error: no cache',
        expect.stringMatching(
          /^lido: LIDO_IMPORT_FAILED .*second\.mjs failed while Node\.js [\d.]+ imported it$/,
        ),
      ]);
      expect(code).toBe(3);
    }
  });

  it('tells every mistake in mounts with its place', async () => {
    const cwd = makeFolder({
      'lido.config.json': `{
  "application": "site.mjs",
  "mounts": {
    "shop": "shop.mjs",
    "/a/": "a.mjs",
    "/b": { "thrads": 2 },
    "/c": { "application": "c.mjs", "bind": "127.0.0.1:1", "threads": 0 },
    "/d": 5,
    "/e": { "application": "e.mjs", "runtime": "javascript", "python": ".venv" }
  }
}`,
    });
    expect((await runLido(['config'], { cwd })).stderr).toBe(`lido: LIDO_WRONG_SETTING settings: 9 mistakes
  - lido.config.json:4: mounts shop: a path looks like /shop or /shop/admin, unescaped, and / is the root
  - lido.config.json:5: mounts /a/: a path looks like /shop or /shop/admin, unescaped, and / is the root
  - lido.config.json:6: mounts /b: names no application
  - lido.config.json:6: mounts /b: unknown setting thrads; did you mean threads?
  - lido.config.json:7: mounts /c: bind is for the whole server, not for a mount
  - lido.config.json:7: mounts /c: threads takes a whole number, 1 or more, not 0
  - lido.config.json:8: mounts /d: takes MODULE:CALLABLE or an object of settings, not 5
  - lido.config.json:2: application contradicts mounts (lido.config.json:3): one application, or several; mount it at a path too
  - lido.config.json:3: /e: python contradicts runtime (lido.config.json:3: /e): a JavaScript application has no Python
  lido --help lists every option with what it takes
`);
  });
});

describe('the option mounts', () => {
  it('inherits what it does not say for itself', async () => {
    const mounts = { '/': `${JAVASCRIPT}:hello`, '/two': { application: `${JAVASCRIPT}:hello`, threads: 2 } };
    const { server } = await startServer({ threads: 3, mounts });
    expect(server.stats().map(({ workers }) => workers)).toEqual([3, 2]);
  });

  it.each([
    [{ mounts: {} }, 'an object of applications by their paths'],
    [{ mounts: ['/x'] }, 'PATH=MODULE:CALLABLE'],
    [{ mounts: ['/x=a.js', '/x=b.js'] }, 'names /x twice'],
    [{ mounts: { '/x': { application: 'a.js', mounts: {} } } }, 'mounts is for the whole server'],
    [{ mounts: { '/a/../b': 'a.js' } }, 'a path looks like'],
    [{ ...fixture('javascript', 'hello'), mounts: { '/x': 'a.js' } }, 'application contradicts mounts'],
  ])('refuses %j', (settings, message) => {
    expect(() => resolveUserSettings(settings as UserSettings)).toThrow(message);
  });

  it('comes from a variable too', () => {
    const { values } = readEnvironment({ LIDO_MOUNTS: '/=site.js:app,/shop=shop.wsgi:create_app(1)' });
    expect(resolveUserSettings(values as UserSettings).mounts).toEqual({
      '/': { application: 'site.js:app' },
      '/shop': { application: 'shop.wsgi:create_app(1)' },
    });
  });
});
