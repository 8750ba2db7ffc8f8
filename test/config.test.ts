import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido } from './support/command.js';

const APPLICATION = `export function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [\`\${process.env.GREETING ?? 'hello'}\`];
}
`;

const FILES = {
  ts: `const name: string = 'site.mjs';\nexport default { application: name, threads: 1 as number };\n`,
  mts: `export default { application: 'site.mjs' satisfies string, threads: 1 };\n`,
  js: `module.exports = { application: 'site.mjs', threads: 1 };\n`,
  mjs: `export default { application: 'site.mjs', threads: 1 };\n`,
  json: `{ "$schema": "x", "application": "site.mjs", "threads": 1 }\n`,
  toml: `application = "site.mjs"\nthreads = 1\n`,
};

describe('a config file', () => {
  it.each(Object.entries(FILES))('lido.config.%s is found and served', async (ending, text) => {
    const cwd = makeFolder({ 'site.mjs': APPLICATION, [`lido.config.${ending}`]: text });
    const server = await serveLido([], { cwd });
    expect(server.stderr()).toContain('serving site.mjs by Node.js');
    expect(server.stderr()).toContain('on 1 thread at');
    expect(await (await fetch(server.url)).text()).toBe('hello');
  });

  it('named with -c is read from anywhere, and its chdir counts from where it is', async () => {
    const cwd = makeFolder({
      'conf/my.toml': 'application = "site.mjs"\nchdir = "../site"\nenv = "GREETING=a=b"\n',
      'site/site.mjs': APPLICATION,
    });
    const server = await serveLido(['-c', 'conf/my.toml'], { cwd });
    expect(await (await fetch(server.url)).text()).toBe('a=b');
  });

  it('is looked for where --chdir leads, which is entered once', async () => {
    const cwd = makeFolder({
      'sub/lido.config.json': '{"application": "site.mjs"}',
      'sub/site.mjs': APPLICATION,
    });
    const { code, stdout, stderr } = await runLido(['check', '--chdir', 'sub'], { cwd });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^site\.mjs is ready to be served by Node\.js \d+\.\d+\.\d+\n$/);
    expect(code).toBe(0);
  });

  it('gives way to --chdir with its own chdir', async () => {
    const cwd = makeFolder({
      'sub/lido.config.json': '{"application": "site.mjs", "chdir": "../other"}',
      'sub/site.mjs': APPLICATION,
      'other/none.txt': '',
    });
    expect(await runLido(['check', '--chdir', 'sub'], { cwd })).toMatchObject({ code: 0, stderr: '' });
  });

  it('with ten mistakes is answered with ten lines', async () => {
    const cwd = makeFolder({
      'lido.config.toml': `application = 5
bnd = ":80"
threads = "4"
workers = 2
timeout = -1
graceful_timeout = 3
runtime = "cpythn"
log-level = "info"
env = ["KEY"]
bind = "1::2::3"
`,
    });
    const { code, stdout, stderr } = await runLido(['check'], { cwd });
    expect(stderr).toBe(`lido: LIDO_WRONG_SETTING settings: 10 mistakes
  - lido.config.toml:1: application takes MODULE:CALLABLE, such as hello.js:application or shop.wsgi:create_app(), not 5
  - lido.config.toml:2: unknown setting bnd; did you mean bind?
  - lido.config.toml:3: threads takes a whole number, 1 or more, not "4"
  - lido.config.toml:4: unknown setting workers; did you mean processes? (each with an acceptor and worker threads of its own; for JavaScript and free-threaded Python one process serves all cores)
  - lido.config.toml:5: timeout takes a number of seconds, 0 or more, not -1
  - lido.config.toml:6: unknown setting graceful_timeout; did you mean gracefulTimeout?
  - lido.config.toml:7: runtime takes auto, javascript, cpython, not "cpythn"; did you mean cpython?
  - lido.config.toml:8: unknown setting log-level; did you mean logLevel?
  - lido.config.toml:9: env takes a list of KEY=VALUE, not "KEY"
  - lido.config.toml:10: bind takes HOST:PORT, [IPV6]:PORT, PORT, unix:PATH or fd://N, or a list of these, not "1::2::3": an IPv6 address stands in brackets, with its port behind them: [1::2::3]:8000
  lido --help lists every option with what it takes
`);
    expect([code, stdout]).toEqual([2, '']);
  });

  it('of each kind is answered with the line of every mistake, in mounts too', async () => {
    const files = {
      'lido.config.json': `{
  "$schema": "x",
  "mounts": {
    "/": { "application": "site.mjs",
      "threads": 2 },
    "/shop": {
      "application": "shop.wsgi:",
      "pythn": ".venv",
      "timeout": "30"
    },
    "blog": "blog.mjs"
  }, "threads": 1.5, "bind": ["::", "127.0.0.1:x"],
  "forwardedFields": ["x-forwarded-fro"],
  "runtime": "node",
  "max_requests": 100,
  "logLevel": "warning",
  "debug": 1
}`,
      'lido.config.toml': `threads = 1.5 # timeout = 3
bind = ["::", "127.0.0.1:x"]
forwardedFields = [
  "x-forwarded-fro",
]
runtime = "node"
max_requests = 100
logLevel = "warning"
debug = 1

[mounts]
"/" = { application = "site.mjs", threads = 2 }
blog = "blog.mjs"

[mounts."/shop"]
application = "shop.wsgi"
pythn = ".venv"
timeout = "30"
`,
      'lido.config.ts': `import { defineConfig } from 'lido';
/* threads: 2 */
const threads: number = 1.5;
const site = { application: 'site.mjs', threads: 2, bind: ':80' };
const { bind, ...own } = site;

export default defineConfig({
  mounts: {
    '/': own,
    '/shop': {
      application: "shop.wsgi", // timeout: 30
      pythn: \`.venv\`,
      timeout: '30',
    },
    blog: 'blog.mjs',
  },
  threads,
  bind: ['::', '127.0.0.1:x'], forwardedFields: ['x-forwarded-fro'],
  runtime: 'node',
  max_requests: 100,
  logLevel: 'warning',
  debug: bind === ':80' ? 1 : 0,
} as never);
`,
    };
    const mistakes = [
      'mounts /shop: unknown setting pythn; did you mean python?',
      'mounts /shop: timeout takes a number of seconds, 0 or more, not "30"',
      'mounts blog: a path looks like /shop or /shop/admin, unescaped, and / is the root',
      'threads takes a whole number, 1 or more, not 1.5',
      'bind takes HOST:PORT, [IPV6]:PORT, PORT, unix:PATH or fd://N, or a list of these, not "::": an IPv6 address stands in brackets, with its port behind them: [::]:8000',
      'forwardedFields takes a list of x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, forwarded, x-request-id, traceparent, not "x-forwarded-fro"; did you mean x-forwarded-for?',
      'runtime takes auto, javascript, cpython, not "node"',
      'unknown setting max_requests; did you mean maxRequests?',
      'logLevel takes trace, debug, info, warn, error, fatal, silent, not "warning"; did you mean warn?',
      'debug takes true or false, not 1',
    ];
    const lines = {
      'lido.config.json': [8, 9, 11, 12, 12, 13, 14, 15, 16, 17],
      'lido.config.toml': [17, 18, 13, 1, 2, 3, 6, 7, 8, 9],
      'lido.config.ts': [12, 13, 15, 17, 18, 18, 19, 20, 21, 22],
    };
    for (const [name, text] of Object.entries(files)) {
      const { stderr } = await runLido(['check'], { cwd: makeFolder({ [name]: text }) });
      const found = stderr.split('\n').filter((line) => line.startsWith('  - '));
      const expected = mistakes.map(
        (mistake, index) => `  - ${name}:${lines[name as keyof typeof lines][index]}: ${mistake}`,
      );
      expect(found.sort()).toEqual(expected.sort());
      expect(stderr).toContain('settings: 10 mistakes');
    }
  });

  it.each([
    ['lido.config.json', '{ "threads": }'],
    ['lido.config.toml', 'threads = '],
    ['lido.config.ts', 'export default {'],
    ['lido.config.json', '[]'],
    ['lido.config.mjs', 'throw new Error("no")'],
  ])('%s that reads %j is refused by name, without a stack', async (name, text) => {
    const cwd = makeFolder({ [name]: text });
    const { code, stderr } = await runLido(['config'], { cwd });
    expect(stderr).toMatch(/^lido: LIDO_CONFIG_(UNREADABLE|NOT_OBJECT) .*\n {2}(mend|write) .*\n$/);
    expect(stderr).toContain(name);
    expect(code).toBe(2);
  });

  it.each([
    ['lido.config.json', '{\n"threads": }', ':2: Unexpected token'],
    [
      'lido.config.json',
      `{\n${'"env": [],\n'.repeat(20)}"debug": tru,\n"backlog": 1\n}`,
      ':22: Unexpected token',
    ],
    ['lido.config.json', '', ': Unexpected end of JSON input'],
    ['lido.config.json', '{\n"threads": 1,\n}', ':3: Expected double-quoted'],
    ['lido.config.toml', '\n\nthreads = = 1', ':3: Invalid TOML'],
    ['lido.config.ts', 'export default {\n  threads: 1,,\n}', ':2: ParseError: Unexpected token\n'],
    ['lido.config.mjs', 'export default {\n  threads: none,\n}', ':2: none is not defined\n'],
    ['lido.config.mjs', 'import "./none.js";\nexport default {}', ":1: Cannot find module './none.js'\n"],
  ])('%s that reads %j is told with its line', async (name, text, message) => {
    const { stderr } = await runLido(['config'], { cwd: makeFolder({ [name]: text }) });
    expect(stderr).toContain(`lido: LIDO_CONFIG_UNREADABLE ${name}${message}`);
  });

  it('with a table that is none is told with its line', async () => {
    const cwd = makeFolder({ 'lido.config.toml': 'threads = 1\n[log]\nlevel = 1' });
    expect((await runLido(['config'], { cwd })).stderr).toContain('lido.config.toml:2: unknown setting log');
  });

  it('may import defineConfig where no lido is installed beside it', async () => {
    const text = `import { defineConfig } from 'lido';\nexport default defineConfig({ application: 'site.mjs' });\n`;
    for (const ending of ['ts', 'mjs']) {
      const cwd = makeFolder({ 'site.mjs': APPLICATION, [`lido.config.${ending}`]: text });
      expect(await runLido(['check'], { cwd })).toMatchObject({ code: 0, stderr: '' });
    }
  });

  it('is not made to load the server a second time by what it imports of lido', async () => {
    const text = `import * as lido from 'lido';
const { default: _, ...names } = lido;
export default { env: ['HAS=' + Object.keys(names).join()] };
`;
    const cwd = makeFolder({ 'site.mjs': APPLICATION, 'lido.config.mjs': text });
    expect((await runLido(['config', 'site.mjs'], { cwd })).stdout).toContain('"HAS=LidoError,defineConfig"');
  });

  it('with a chdir that is nowhere is told so beside its other mistakes', async () => {
    const cwd = makeFolder({ 'lido.config.json': '{\n"chdir": "none",\n"threads": 0\n}' });
    const { code, stderr } = await runLido([], { cwd });
    expect(stderr).toContain(
      `  - lido.config.json:2: no directory ${cwd}/none\n  - lido.config.json:3: threads`,
    );
    expect(code).toBe(2);
  });

  it('of a kind that is not read is not passed over', async () => {
    const cwd = makeFolder({ 'lido.config.yaml': 'threads: 1\n' });
    expect((await runLido(['config'], { cwd })).stderr).toContain('lido.config.yaml is none of .ts');
  });

  it.each([
    ['lido.toml', 'lido.toml is here, which is not read: a config file is called lido.config.toml'],
    ['lido.json', 'lido.json is here, which is not read: a config file is called lido.config.json'],
    ['lido.yml', 'lido.yml is none of .ts'],
  ])('of a name that is not read is not passed over: %s', async (name, message) => {
    const cwd = makeFolder({ 'site.mjs': APPLICATION, [name]: '{}' });
    expect(await runLido(['config', 'site.mjs'], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(message),
    });
    writeFileSync(join(cwd, 'lido.config.toml'), '');
    expect(await runLido(['config', 'site.mjs'], { cwd })).toMatchObject({ code: 0, stderr: '' });
  });

  it('beside another one, missing, or of no known kind is refused', async () => {
    const cwd = makeFolder({ 'lido.config.json': '{}', 'lido.config.toml': '', 'x.yaml': '' });
    expect((await runLido(['config'], { cwd })).stderr).toContain(
      'both lido.config.json and lido.config.toml are here',
    );
    expect((await runLido(['config', '-c', 'none.json'], { cwd })).stderr).toContain(
      `no config file ${cwd}/none.json`,
    );
    expect((await runLido(['config', '-c', 'x.yaml'], { cwd })).stderr).toContain('x.yaml is none of .ts');
  });

  it('gives way to the environment, and that to flags; lido config shows which it was', async () => {
    const cwd = makeFolder({
      'lido.config.json': '{\n"threads": 1,\n"timeout": 1,\n"debug": true,\n"keepalive": 1\n}',
    });
    const words = ['config', '--timeout=3', '--no-debug', 'site.mjs'];
    const { stdout, code } = await runLido(words, { cwd, env: { LIDO_TIMEOUT: '2', LIDO_THREADS: '2' } });
    const lines = stdout.split('\n').map((line) => line.replace(/ +/g, ' '));
    expect(lines).toEqual(
      expect.arrayContaining([
        'application "site.mjs" (the command line)',
        'threads 2 (LIDO_THREADS)',
        'timeout 3 (--timeout)',
        'debug false (--debug)',
        'keepalive 1 (lido.config.json:5)',
        expect.stringMatching(/^backlog 2048 \(default: /),
      ]),
    );
    expect(code).toBe(0);
  });
});
