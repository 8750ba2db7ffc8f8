import { once } from 'node:events';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido, serveLido, startLido } from './support/command.js';
import { venv } from './support/server.js';

const HELLO = `export function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['hello'];
}
`;

/** Opening a pipe waits for whoever opens its other end. */
const IMPORTS_UNTIL_TOLD = `import os, sys
os.mkfifo('gate')
print('it imports', file=sys.stderr, flush=True)
open('gate').read()
def application(environ, start_response):
    start_response('200 OK', [])
    return []
`;

/** Its reader may have been ended by now, and opening the pipe for one that never comes would wait for ever. */
function letGoOn(gate: string, answer: string): void {
  try {
    const fd = openSync(gate, constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, answer);
    closeSync(fd);
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^(ENXIO|EPIPE)$/) });
  }
}

const usage = /\n {2}lido --help (lists every option with what it takes|shows how the command is written)\n$/;

describe('the lido command', () => {
  it('serves, says what and where in one line, and exits with 0 when it is told to stop', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const server = await serveLido(['--threads', '2', 'hello.mjs:application'], { cwd });
      expect(server.stderr()).toMatch(
        /^\[.*\] INFO: serving hello\.mjs:application by Node\.js \d+\.\d+\.\d+ on 2 threads at http:\/\/127\.0\.0\.1:\d+\n/,
      );
      expect(await (await fetch(server.url)).text()).toBe('hello');
      server.child.kill(signal);
      expect(await server.ended).toMatchObject({ code: 0, signal: null });
    }
  });

  it('finishes a running request after the first signal', async () => {
    const cwd = makeFolder({
      'slow.mjs': `export async function application(environ, startResponse) {
        environ['wsgi.errors'].write('it runs\\n');
        await new Promise((resolve) => setTimeout(resolve, 300));
        startResponse('200 OK', []);
        return ['done'];
      }`,
    });
    const server = await serveLido(['slow.mjs'], { cwd });
    const answer = fetch(server.url).then((response) => response.text());
    await server.waitFor('it runs');
    server.child.kill('SIGTERM');
    expect(await answer).toBe('done');
    expect((await server.ended).code).toBe(0);
  });

  it('ends at once after the second signal, whatever runs', async () => {
    const cwd = makeFolder({
      'stuck.mjs': `export function application(environ) {
        environ['wsgi.errors'].write('it runs\\n');
        for (;;);
      }`,
    });
    const server = await serveLido(['stuck.mjs'], { cwd });
    const answer = fetch(server.url).catch(() => 'lost');
    await server.waitFor('it runs');
    server.child.kill('SIGTERM');
    await server.waitFor('SIGTERM: finishing what runs');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ signal: 'SIGTERM' });
    expect(await answer).toBe('lost');
  });

  it.each([
    [
      'stuck.mjs',
      `export function application(environ) { environ['wsgi.errors'].write('it runs\\n'); for (;;); }`,
    ],
    [
      'stuck.py',
      `import time\ndef application(environ, start_response):\n    environ['wsgi.errors'].write('it runs\\n')\n    time.sleep(60)\n`,
    ],
  ])('ends when the graceful time-out is over, although %s does not come back', async (file, code) => {
    const cwd = makeFolder({ [file]: code });
    const python = fileURLToPath(new URL('../.venv', import.meta.url));
    const server = await serveLido(
      ['--graceful-timeout', '0.3', '--timeout', '0', '--python', python, '--runtime', 'auto', file],
      { cwd },
    );
    const answer = fetch(server.url).catch(() => 'lost');
    await server.waitFor('it runs');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(await answer).toBe('lost');
  });

  it.each([
    ['goes on', ''],
    ['is over right then', 'go'],
  ])('exits with 0 when it is told to stop while Python imports, and that %s', async (_how, answer) => {
    const cwd = makeFolder({ 'slow.py': IMPORTS_UNTIL_TOLD });
    const python = fileURLToPath(new URL('../.venv', import.meta.url));
    const { child, waitFor, ended } = startLido(['--bind', '127.0.0.1:0', '--python', python, 'slow.py'], {
      cwd,
    });
    await waitFor('it imports');
    child.kill('SIGTERM');
    await waitFor('SIGTERM: finishing what runs');
    if (answer !== '') letGoOn(`${cwd}/gate`, answer);
    expect(await ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining('lido: LIDO') });
  });

  it('says what to do in an empty directory', async () => {
    const { code, stderr, stdout } = await runLido([], { cwd: makeFolder({}) });
    expect(stderr).toBe(
      'lido: LIDO_NO_APPLICATION no application was named\n  name it as MODULE:CALLABLE, for example lido hello.js:application, or in lido.config.toml: application = "hello.js:application"\n',
    );
    expect([code, stdout]).toEqual([2, '']);
  });

  it.each([
    [
      ['--thread', '3', '--bogus'],
      '--thread: unknown option; did you mean --threads?\n  - --bogus: unknown option',
    ],
    [['--workers', '3', 'x.js'], '--workers: unknown option; did you mean --processes? (each with'],
    [['-k', 'gevent', 'x.js'], '-k: unknown option, known from gunicorn: there is one kind of worker'],
    [['--emperor', 'x'], '--emperor: unknown option, known from uwsgi: a library does it'],
    [
      ['--http', ':80'],
      '--bind? (HTTP only; unix:PATH for a Unix socket), known from uvicorn, granian: Lido speaks',
    ],
    [['run', 'app.py'], 'run: unknown command; lido app.py serves it'],
    [['--graceful_timeout=3'], '--graceful_timeout: unknown option; did you mean --graceful-timeout?'],
    [
      ['-b', ':8000', '-w', '4', 'x.js'],
      'settings: 2 mistakes\n  - -b: unknown option; did you mean --bind? (:8000 is every IPv4 interface; unix:PATH as there; $PORT is read)\n  - -w: unknown option; did you mean --processes?\n  lido',
    ],
    [['--debug=true', 'x.js'], '--debug: takes no value; its opposite is --no-debug'],
    [['chek', 'x.js'], 'chek: unknown command; did you mean check?'],
    [['x.js:create_app('], 'the command line: takes MODULE:CALLABLE, such as hello.js:application or'],
    [['--threads', 'many'], '--threads: takes a whole number, 1 or more, not "many"'],
    [['--threads'], "the command line: option '--threads <N>' argument missing"],
    [['a.js', 'b.js'], 'b.js: one application is served, named once'],
    [['--chdir', 'none'], '--chdir: no directory'],
    [['--log-level', 'critical', 'x.js'], 'fatal, silent, not "critical"; did you mean fatal?'],
    [['--log-level', 'constructor', 'x.js'], 'fatal, silent, not "constructor"\n'],
    [['--access-log-format', 'constructor', 'x.js'], 'takes json, common, combined, or text with %(NAME)s'],
    [['--bind', '127.0.0.1:99999'], 'not "127.0.0.1:99999": there is no port 99999: the highest is 65535'],
    [['--bind', 'http://0.0.0.0:80'], 'an address has no scheme: write 0.0.0.0:80'],
    [['--bind', 'localhost:http'], '"http" is no port: write localhost:8000'],
    [['--bind', '::1'], 'an IPv6 address stands in brackets, with its port behind them: [::1]:8000'],
    [['--bind', '/run/lido.sock'], 'write unix:/run/lido.sock for a Unix socket'],
    [['--bind', 'unix:'], 'unix: needs a path, for example unix:/run/lido.sock'],
    [['--bind', `unix:/${'x'.repeat(107)}`], 'a path of 108 bytes is too long: the system takes 107'],
  ])('answers %j with what to write instead, and status 2', async (words, message) => {
    const { code, stderr } = await runLido(words, { cwd: makeFolder({}) });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(usage);
    expect(code).toBe(2);
  });

  it('serves with the word serve too, and prints its help for help', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO });
    const server = await serveLido(['serve', 'hello.mjs'], { cwd });
    expect(await (await fetch(server.url)).text()).toBe('hello');
    expect(await runLido(['help'], { cwd })).toEqual(await runLido(['--help'], { cwd }));
  });

  it('listens on PORT where nobody names an address, and says where a wrong one stands', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO });
    const { stdout } = await runLido(['config', 'hello.mjs'], { cwd, env: { PORT: '8123' } });
    expect(stdout).toMatch(/^bind +\["0\.0\.0\.0:8123"\] {2}\(PORT\)$/m);
    const words = ['config', '--bind', ':80', 'hello.mjs'];
    expect((await runLido(words, { cwd, env: { PORT: '8123' } })).stdout).toMatch(/^bind +\[":80"\]/m);
    const { stderr } = await runLido(['config', 'hello.mjs'], { cwd, env: { PORT: 'http' } });
    expect(stderr).toContain('PORT: takes HOST:PORT');
  });

  it('shows by lido config what will hold, with the reason', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO, 'hello.py': 'def application(e, s): pass\n' });
    const { stdout } = await runLido(['config', 'hello.mjs'], { cwd });
    const cores = availableParallelism();
    expect(stdout).toMatch(
      new RegExp(`^threads +${cores} {2}\\(default: ${cores} cores, for 1 process\\)$`, 'm'),
    );
    expect(stdout).toMatch(/^backlog +2048 {2}\(default: .+\)$/m);
    const venv = fileURLToPath(new URL('../.venv', import.meta.url));
    const python = await runLido(['config', 'hello.py'], { cwd, env: { VIRTUAL_ENV: venv } });
    expect(python.stdout).toMatch(
      /^threads +4 {2}\(default: they share one GIL, and wait side by side; 1 where it turns out to speak ASGI\)$/m,
    );
    expect(python.stdout).toMatch(
      /^python +".*\.venv\/bin\/python\d?" {2}\(default: found for Python 3\.\d+\.\d+\)$/m,
    );
    const none = await runLido(['config', 'none.mjs'], { cwd });
    expect(none.stdout).toMatch(/^threads +null {2}\(found out at start: now no module none\.mjs/m);
  });

  it.each([
    [{ 'mysite/__init__.py': '', 'mysite/settings.py': '', 'mysite/wsgi.py': '' }, 'mysite'],
    [{ 'mysite/wsgi.py': '' }, 'mysite'],
    [{ 'sites/mysite/wsgi.py': '' }, 'sites/mysite'],
  ])('names the wsgi.py of a Django project: %j', async (files, module) => {
    const { code, stderr } = await runLido(['check', module], { cwd: makeFolder(files) });
    expect(stderr).toContain(`did you mean ${module.replace('/', '.')}.wsgi?`);
    expect(code).toBe(3);
  });

  it('says what to do where package.json calls an ES module CommonJS', async () => {
    const cwd = makeFolder({ 'hello.js': HELLO, 'package.json': '{"type":"commonjs"}' });
    const { stderr } = await runLido(['check', 'hello.js'], { cwd });
    expect(stderr).toContain('hello.js is an ES module, and its package.json says "type": "commonjs"\n');
    expect(stderr).toContain('  name the file .mjs, or say "type": "module" there\n');
  });

  it('shows where a module cannot be parsed, also one that the application imports', async () => {
    const cwd = makeFolder({
      'app.mjs': "import { x } from './part.mjs';\nexport const application = x;\n",
      'part.mjs': 'export const x = {\n  a: 1,\n  b: ,\n};\n',
    });
    const { code, stderr } = await runLido(['check', 'app.mjs'], { cwd });
    expect(code).toBe(3);
    expect(stderr).toBe(`file://${cwd}/part.mjs:3
  b: ,
     ^
SyntaxError: Unexpected token ','
lido: LIDO_IMPORT_FAILED ${cwd}/app.mjs failed while Node.js ${process.versions.node} imported it
  mend what the traceback above shows, then start again
`);
  });

  it('prints its version and its help, with every group', async () => {
    const cwd = makeFolder({});
    for (const flag of ['--version', '-v'])
      expect(await runLido([flag], { cwd })).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
    const help = await runLido(['--help'], { cwd });
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(await runLido(['-h'], { cwd })).toEqual(help);
    expect(
      Math.max(
        ...help.stdout
          .slice(help.stdout.indexOf('\n\n'))
          .split('\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThanOrEqual(80);
    for (const text of [
      'Usage: lido [options] MODULE:CALLABLE',
      '\nListening:\n',
      '(default: 127.0.0.1:8000)',
    ])
      expect(help.stdout.replace(/\n {10,}/g, ' ')).toContain(text);
  });

  it("shows a failing application's own traceback, then one line and what to do, and status 3", async () => {
    const cwd = makeFolder({ 'broken.mjs': `throw new Error('no database');\n` });
    for (const action of [[], ['check']]) {
      const { code, stderr } = await runLido([...action, 'broken.mjs'], { cwd });
      expect(stderr).toContain('Error: no database\n    at ');
      const last = stderr.trimEnd().split('\n').slice(-2);
      expect(last[0]).toMatch(
        /^lido: LIDO_IMPORT_FAILED .*broken\.mjs failed while Node\.js [\d.]+ imported it$/,
      );
      expect(last[1]).toBe('  mend what the traceback above shows, then start again');
      expect(stderr).not.toContain('/dist/');
      expect(code).toBe(3);
    }
  });

  it('names the exports when the callable is not among them', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO });
    const { code, stderr } = await runLido(['check', 'hello.mjs:nope'], { cwd });
    expect(stderr).toMatch(
      /^lido: LIDO_CALLABLE_NOT_FOUND .*hello\.mjs has no nope\n {2}.*it has: application\n$/,
    );
    expect(code).toBe(3);
  });

  it('exits with 1 where the address is taken', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO });
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { code, stderr } = await runLido(['--bind', `127.0.0.1:${port}`, 'hello.mjs'], { cwd });
    taken.close();
    expect(stderr).toBe(
      `lido: LIDO_CANNOT_LISTEN cannot listen on http://127.0.0.1:${port}: EADDRINUSE\n  another process listens there: stop it, or choose another with --bind\n`,
    );
    expect(code).toBe(1);
  });

  it('tells what is set for another server, and not read here', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO, 'gunicorn.conf.py': 'workers = 4' });
    const env = { GUNICORN_CMD_ARGS: '--workers 3' };
    const { stderr, code } = await runLido(['check', 'hello.mjs'], { cwd, env });
    expect(stderr).toMatch(/WARN: GUNICORN_CMD_ARGS is not read: .*WARN: gunicorn\.conf\.py is not read: /s);
    expect(code).toBe(0);
  });

  it('says of a Unix socket what is wrong with its path', async () => {
    const cwd = makeFolder({ 'hello.mjs': HELLO, file: 'no socket' });
    const listen = (path: string) => runLido(['--bind', `unix:${path}`, 'hello.mjs'], { cwd });
    const long = `${cwd}/${'a'.repeat(120)}`;
    expect(await listen(long)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bytes is too long: the system takes 107 for a Unix socket'),
    });
    expect(await listen('run/lido.sock')).toMatchObject({
      code: 1,
      stderr:
        'lido: LIDO_CANNOT_LISTEN cannot listen on unix:run/lido.sock: ENOENT\n  there is no folder run: make it, or choose another path with --bind\n',
    });
    expect(await listen('file')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('or it is a file that is no socket: remove it, or choose another'),
    });
  });

  it('gives --env to the application, and listens on every --bind', async () => {
    const cwd = makeFolder({
      'show.mjs': `export function application(environ, startResponse) {
        startResponse('200 OK', []);
        return [process.env.COLOUR + '\\n'];
      }`,
    });
    const words = ['--env', 'COLOUR=blue=green', '--bind', 'unix:lido.sock', 'show.mjs'];
    const server = await serveLido(words, { cwd });
    expect(await (await fetch(server.url)).text()).toBe('blue=green\n');
    const socket = connect(`${cwd}/lido.sock`);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const chunks = await socket.setEncoding('utf8').toArray();
    expect(chunks.join('')).toContain('blue=green\n');
  });
});

describe('the log', () => {
  const FAIL = `export function application(environ) {
    environ['wsgi.errors'].write(decodeURIComponent(environ.QUERY_STRING));
    throw new Error(decodeURIComponent(environ.QUERY_STRING));
  }`;
  const forged = encodeURIComponent('x\r\n[2026-01-01 00:00:00.000] INFO: forged\u2028\u001b[2Kgone\u009b1m');

  it('as text shows the traceback, and no client can forge a line or move the cursor', async () => {
    const server = await serveLido(['fail.mjs'], { cwd: makeFolder({ 'fail.mjs': FAIL }) });
    expect((await fetch(`${server.url}/?${forged}`)).status).toBe(500);
    await server.waitFor('    at ');
    server.child.kill('SIGTERM');
    const { stderr } = await server.ended;
    expect(stderr).toMatch(
      /ERROR: LIDO_APPLICATION_RAISED GET \/\?\S+ \[[\w-]+\] the application raised Error: x/,
    );
    expect(stderr).not.toMatch(/^\[2026-01-01/m);
    expect(stderr).not.toMatch(/[\r\u001b\u009b\u2028]/);
    expect(stderr).toContain('\\x1b[2Kgone\\x9b1m');
  });

  it('as text tells the time with the offset that held at its start, whatever zone the application sets', async () => {
    const source = `import os, time
os.environ['TZ'] = 'Asia/Tokyo'
time.tzset()
def application(environ, start_response):
    start_response('200 OK', [])
    environ['wsgi.errors'].write('it is now ' + time.strftime('%z'))
    return []
`;
    const cwd = makeFolder({ 'moves.py': source });
    const env = { TZ: 'America/St_Johns' };
    const server = await serveLido(['--python', venv, 'moves.py'], { cwd, env });
    await fetch(server.url);
    await server.waitFor('it is now +0900');
    const all = server.stderr().trimEnd().split('\n');
    // An old Node is warned of.
    const lines = all.filter((line) => !line.includes(' WARN: Node.js '));
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      const [, time = '', offset = ''] = /^\[(\S+ \S+) (\S+)\] [A-Z]+: /.exec(line) ?? [];
      expect(offset).toMatch(/^-0[23]30$/);
      const age = Date.now() - Date.parse(`${time.replace(' ', 'T')}${offset}`);
      expect(age).toBeGreaterThanOrEqual(0);
      expect(age).toBeLessThan(60_000);
    }
  });

  it('as JSON is one object a line', async () => {
    const words = ['--log-format', 'json', 'fail.mjs'];
    const server = await serveLido(words, { cwd: makeFolder({ 'fail.mjs': FAIL }) });
    await fetch(`${server.url}/?${forged}`);
    await server.waitFor('LIDO_APPLICATION_RAISED');
    server.child.kill('SIGTERM');
    const lines = (await server.ended).stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const failure = lines.find(({ code }) => code === 'LIDO_APPLICATION_RAISED');
    expect(failure).toMatchObject({ level: 50, method: 'GET', url: `/?${forged}` });
    expect(failure.traceback).toContain('forged');
  });

  it.each([
    ['info', ' INFO: SIGTERM: finishing what runs\n'],
    ['warn', ''],
    ['silent', ''],
  ])('at --log-level %s has no less severe lines', async (level, end) => {
    // It never serves, so that there is nothing else to be logged, however late the signal comes.
    const source = `process.kill(process.pid, 'SIGTERM');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
    const words = ['--bind', '127.0.0.1:0', '--threads', '1', '--log-level', level, 'ends.mjs'];
    const { code, stderr } = await runLido(words, { cwd: makeFolder({ 'ends.mjs': source }) });
    expect([code, stderr.replace(/^\[.*?\]/, '')]).toEqual([0, end]);
  });
});
