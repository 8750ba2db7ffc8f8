// `lido call` and `lido cgi`: one request, without a server.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Ended, makeFolder, runLido } from './support/command.js';
import { languages, root, venv } from './support/server.js';

const CLI = join(root, 'dist/src/cli.js');

function call(...words: readonly string[]): Promise<Ended> {
  return runLido(['call', '--python', venv, ...words], { cwd: join(root, 'test/apps') });
}

/** The same with something on standard input. */
async function callWithInput(input: string, ...words: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [CLI, 'call', '--python', venv, ...words], {
    cwd: join(root, 'test/apps'),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.end(input);
  return text(child.stdout);
}

describe.each(languages)('lido call, %s', (language) => {
  const file = language === 'javascript' ? 'applications.mjs' : 'applications.py';

  it('prints the body, and with -i the head before it', async () => {
    const plain = await call(`${file}:hello`, '/');
    expect(plain).toMatchObject({ code: 0, stderr: '' });
    const whole = await call('-i', `${file}:hello`, '/');
    expect(whole.stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n(.+\r\n)*\r\n/);
    expect(whole.stdout.split('\r\n\r\n')[1]).toBe(plain.stdout);
    const head = await call(`${file}:hello`, 'HEAD', '/');
    expect(head.stdout).toBe(whole.stdout.slice(0, -plain.stdout.length));
  });

  it('tells the application of the request, and that it is the only one', async () => {
    const { stdout } = await call(
      `${file}:showEnviron`,
      'PUT',
      'https://shop.example:8443/a%20b?c=%C3%A9',
      '-H',
      'X-Name: Zoë',
    );
    expect(readEnviron(stdout)).toMatchObject({
      REQUEST_METHOD: 'PUT',
      PATH_INFO: '/a b',
      QUERY_STRING: 'c=%C3%A9',
      HTTP_HOST: 'shop.example:8443',
      HTTP_X_NAME: 'Zoë',
      SERVER_NAME: 'shop.example',
      SERVER_PORT: '8443',
      'wsgi.url_scheme': 'https',
      'wsgi.run_once': expect.stringMatching(/^true$/i),
      'wsgi.multithread': expect.stringMatching(/^false$/i),
      'wsgi.multiprocess': expect.stringMatching(/^false$/i),
    });
  });

  it('sends a body given as text, from a file, and from standard input, as curl does', async () => {
    const folder = makeFolder({ 'upload.bin': 'x'.repeat(300_000) });
    const given = await call('-i', `${file}:echo`, '/', '-d', 'name=ada');
    expect(given.stdout).toMatch(/name=ada$/);
    const large = await call(`${file}:echo`, '/', '-d', `@${folder}/upload.bin`);
    expect(large.stdout.length).toBe(300_000);
    expect(await callWithInput('from the pipe', `${file}:echo`, '/', '-d', '-')).toBe('from the pipe');
  });

  it('writes the body to a file with -o', async () => {
    const folder = makeFolder({});
    const { stdout, code } = await call('-o', join(folder, 'page'), `${file}:page`, '/');
    expect({ stdout, code }).toEqual({ stdout: '', code: 0 });
    expect(readFileSync(join(folder, 'page')).length).toBeGreaterThan(10_000);
  });

  it('exits with 0, 4 or 5 by the answer, and shows the traceback of what failed', async () => {
    expect((await call(`${file}:statusFromPath`, '/404')).code).toBe(4);
    const failed = await call(`${file}:failsBefore`, '/');
    expect(failed.code).toBe(5);
    expect(failed.stderr).toContain('LIDO_APPLICATION_RAISED');
    expect((await call(`${file}:failsAfter`, '/')).code).toBe(5);
  });
});

it.each([
  [['hello.js'], 'no path is named'],
  [[], 'no path is named'],
  [['hello.js', '/', '/other'], 'in this order'],
  [['one.js', 'two.js', '/'], 'in this order'],
  [['applications.mjs:hello', '/', '-H', 'no field'], 'is no header field'],
  [['applications.mjs:hello', '/', '-d', '@/no/such/file'], 'cannot be read'],
  [['applications.mjs:hello', '/', '--tread', '1'], 'did you mean --threads?'],
])('lido call %j is told what is wrong', async (words, expected) => {
  const { code, stderr, stdout } = await call(...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(expected);
});

it('lido call names the application in a config file', async () => {
  const folder = makeFolder({
    'lido.config.json': '{ "application": "hello.mjs" }',
    'hello.mjs': `export const application = (environ, start) => (start('200 OK', []), [environ.PATH_INFO]);`,
  });
  expect((await runLido(['call', '/from/config'], { cwd: folder })).stdout).toBe('/from/config');
});

describe('lido cgi', () => {
  it('refuses what is no request of a web server', async () => {
    const { code, stderr } = await runLido(['cgi', 'applications.mjs:hello'], {
      cwd: join(root, 'test/apps'),
    });
    expect(code).toBe(2);
    expect(stderr).toContain('REQUEST_METHOD is not set');
  });

  it.each(languages)(
    'answers what a web server puts into the environment and the pipe, %s',
    async (language) => {
      const file = language === 'javascript' ? 'applications.mjs' : 'applications.py';
      const shown = await runCgi(`${file}:showEnviron`, '', {
        REQUEST_METHOD: 'GET',
        SCRIPT_NAME: '/cgi-bin/lido',
        PATH_INFO: '/a b/é',
        QUERY_STRING: 'c=d',
        SERVER_NAME: 'shop.example',
        SERVER_PORT: '443',
        HTTPS: 'on',
        HTTP_X_NAME: 'Ada',
        HTTP_PROXY: 'http://evil.example',
        CONTENT_LENGTH: '',
        REMOTE_USER: 'ada',
      });
      const [head = '', body = ''] = shown.split('\r\n\r\n');
      expect(head).toMatch(/^Status: 200 OK\r\nContent-Type: text\/plain/);
      const environ = readEnviron(body);
      expect(environ).toMatchObject({
        REQUEST_METHOD: 'GET',
        SCRIPT_NAME: '/cgi-bin/lido',
        PATH_INFO: '/a b/é',
        QUERY_STRING: 'c=d',
        HTTP_X_NAME: 'Ada',
        REMOTE_USER: 'ada',
        'wsgi.url_scheme': 'https',
        'wsgi.run_once': expect.stringMatching(/^true$/i),
      });
      // Neither the web server's own variables, nor what a client could set by a field called Proxy.
      for (const key of ['PATH', 'HTTP_PROXY', 'CONTENT_LENGTH']) expect(environ).not.toHaveProperty(key);

      // More than was declared is the next script's business.
      const post = { REQUEST_METHOD: 'POST', SCRIPT_NAME: '/s', CONTENT_LENGTH: '200000' };
      const answer = await runCgi(`${file}:echo`, `${'y'.repeat(200_000)}more`, post);
      expect(answer.split('\r\n\r\n')[1]).toBe('y'.repeat(200_000));
    },
  );

  it('tells the client of an application that fails, and the log why', async () => {
    const answer = await runCgi('applications.mjs:failsBefore', '', {
      REQUEST_METHOD: 'GET',
      PATH_INFO: '/',
    });
    expect(answer).toMatch(/^Status: 500 Internal Server Error\r\n/);
  });
});

/** As a web server starts a CGI script: RFC 3875, section 4. Resolves with what it printed. */
async function runCgi(
  name: string,
  input: string,
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(process.execPath, [CLI, 'cgi', '--python', venv, '--log-level', 'silent', name], {
    cwd: join(root, 'test/apps'),
    env: { PATH: process.env.PATH, GATEWAY_INTERFACE: 'CGI/1.1', SERVER_PROTOCOL: 'HTTP/1.1', ...variables },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  // It reads no more than it needs.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return text(child.stdout);
}

/** What the application showEnviron prints: KEY=VALUE, a line each. */
function readEnviron(page: string): Record<string, string> {
  const lines = page.trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}
