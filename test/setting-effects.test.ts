// Each setting has a test that shows its effect from outside; the table says which, and those that stand nowhere else follow.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type SettingName, settingNames } from '../dist/src/settings/table.js';
import { makeFolder, runLido, serveLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, root, startServer, venv } from './support/server.js';

/** The file and the words of the test. */
const shownBy: Record<SettingName, readonly [file: string, words: string]> = {
  application: ['examples', 'greets, and shows a path in any script'],
  mounts: ['mounts', 'split the path at a segment'],
  runtime: ['unit/application/find', 'that is both asks which is meant, and --runtime says it'],
  interface: ['asgi', 'is what --interface says, and nothing else'],
  loop: ['asgi', 'runs in the loop that --loop names'],
  chdir: ['config', 'is looked for where --chdir leads, which is entered once'],
  factory: ['setting-effects', 'factory calls what makes the application, in either language'],
  envFile: ['setting-effects', 'envFile sets variables that are not set already'],
  env: ['cli', 'gives --env to the application, and listens on every --bind'],
  debug: ['gateway', 'with debug the client sees the traceback'],
  validate: ['validator', 'under --validate, an application that breaks a rule'],
  static: ['static-files', 'answers the files of a folder before the application'],
  staticCacheControl: ['static-files', 'says by the pattern how long a file lasts'],
  staticLinks: ['static-files', 'follows links where it is told to'],
  privateFiles: ['private-files', 'sends the file that the application names'],
  bind: ['cli', 'gives --env to the application, and listens on every --bind'],
  processes: ['supervisor', '--processes'],
  threads: ['setting-effects', 'threads run as many requests at the same time'],
  minThreads: ['scaling', 'come while requests wait, and go when they are of no use'],
  maxThreads: ['scaling', 'come while requests wait, and go when they are of no use'],
  concurrency: ['setting-effects', 'concurrency lets one worker hold several requests that wait'],
  backlog: ['faults', 'a full backlog answers 503 with Retry-After at once'],
  backlogTimeout: ['limits', 'who has waited for a worker for so long'],
  python: ['setting-effects', 'python runs the application in that virtual environment'],
  pythonInterpreter: ['python-isolated', 'has modules of its own, and says what it shares'],
  pythonpath: [
    'unit/application/find',
    'imports a Python application with --pythonpath before the working directory',
  ],
  timeout: ['faults', 'an endless loop is ended by the time-out with 504, and only it'],
  gracefulTimeout: ['fastify', 'ends what outlives gracefulTimeout, with 503'],
  shutdownDelay: ['operate', 'TERM lets shutdownDelay pass, not ready and served by all'],
  keepalive: ['setting-effects', 'keepalive ends a connection that asks nothing more'],
  headerTimeout: ['faults', 'that stalls within its head is dropped with 408'],
  bodyTimeout: ['faults', 'that stalls within its body is dropped with 408'],
  sendTimeout: ['faults', 'that takes nothing of a response is dropped'],
  forwardedAllowIps: ['forwarded', 'lets the environ tell what the proxy told'],
  proxyProtocol: ['proxy-protocol', 'tells the application of the client'],
  forwardedFields: ['forwarded', 'lets the environ tell what the proxy told'],
  limitRequestLine: ['setting-effects', 'the limits refuse what exceeds them, and nothing else'],
  limitRequestFields: ['setting-effects', 'the limits refuse what exceeds them, and nothing else'],
  limitRequestFieldSize: ['setting-effects', 'the limits refuse what exceeds them, and nothing else'],
  minBodyRate: ['slow-clients', 'is answered with 408 where a worker has not begun'],
  maxConnections: ['limits', 'answers one more with 503'],
  maxConnectionsPerAddress: ['limits', 'answers one more from the same address with 429'],
  keepaliveRequests: ['limits', 'with the last of so many answers'],
  requestBuffering: ['slow-clients', 'begins before the body ends without requestBuffering'],
  responseBuffering: ['slow-clients', 'waits for a client without responseBuffering'],
  bufferMemory: ['slow-clients', 'in a file from bufferMemory on'],
  bufferBudget: ['slow-clients', 'in the budget, a body goes to a file though it is small'],
  bufferDisk: ['slow-clients', 'announced as larger than bufferDisk is refused'],
  bufferDirectory: ['slow-clients', 'on the disk, a body gets 503'],
  maxBodySize: ['faults', 'that sends more than the largest body gets 413'],
  unixMode: ['sockets', 'whom unixMode names'],
  socketBacklog: ['sockets', 'as many connections as socketBacklog says'],
  reusePort: ['sockets', 'where both say reusePort'],
  certfile: ['tls', 'with the certificate of the name that a client asks for'],
  keyfile: ['tls', 'with the key %s is refused at the start'],
  caCerts: ['tls', 'tells the application of a client'],
  certReqs: ['tls', 'tells the application of a client'],
  ciphers: ['tls', 'and no other ciphers'],
  minTlsVersion: ['tls', 'speaks no version before minTlsVersion'],
  websocketOrigins: ['websocket', 'websocketOrigins refuses pages of other sites'],
  websocketMaxMessage: ['websocket', 'websocketMaxMessage closes with 1009'],
  websocketPingInterval: ['websocket', 'websocketPingInterval asks a silent client'],
  websocketPingTimeout: ['websocket', 'websocketPingTimeout ends one that gives no sign'],
  websocketDeflate: ['websocket', 'websocketDeflate compresses for clients that can'],
  supervise: ['operate', 'is refused where no supervisor is wanted'],
  reloadOneByOne: ['operate', 'two processes, one by one'],
  reload: ['development', 'serves a module as soon as it is saved'],
  reloadExtra: ['development', 'counts templates by reloadExtra'],
  maxRequests: ['operate', 'puts another process in the place of one'],
  maxRequestsJitter: ['unit/server/wear', 'adds up to the jitter, by chance'],
  maxMemory: ['operate', 'puts another process in the place of one'],
  maxAge: ['operate', 'puts another process in the place of one'],
  pidfile: ['operate', 'a pidfile names who takes signals'],
  controlSocket: ['operate', 'fails for the script that asked'],
  logLevel: ['cli', 'at --log-level %s has no less severe lines'],
  logFormat: ['cli', 'as JSON is one object a line'],
  accessLog: ['access-log', 'has a line for each request of %s'],
  accessLogFormat: ['access-log', 'shows fields of the request and of the answer, and the environ'],
  tracing: ['tracing', 'says of a request what the semantic conventions want'],
  admin: ['admin', 'is nowhere unless asked for, and not where applications are'],
  adminHosts: ['admin', 'is asked by the names in adminHosts'],
  readyWait: ['admin', 'is not ready while a request waits for longer than readyWait'],
  sendRequestId: ['request-ids', 'stands in the log, the access log and the answer'],
  captureOutput: ['output', 'the access log stays apart, and without captureOutput all that is printed does'],
  slowRequest: ['slow-requests', 'logs a slow request of Python once, with its stack'],
};

it('stands in the table, once for each that exists', () => {
  const what =
    'add to shownBy: the setting, the file of the test that shows its effect, and words of its title';
  expect(Object.keys(shownBy).sort(), what).toEqual([...settingNames].sort());
});

it.each(Object.entries(shownBy))('%s has its test', (_name, [file, words]) => {
  expect(readFileSync(`${root}test/${file}.test.ts`, 'utf8')).toContain(words);
});

describe('over a socket', () => {
  it('keepalive ends a connection that asks nothing more', async () => {
    const { port } = await startServer({ ...fixture('javascript', 'hello'), keepalive: 0.2 });
    const client = new RawClient(port);
    client.send(get('/'));
    await client.readUntil('Hello, world!\n');
    expect(await client.closes()).toBe(true);
  });

  it.each([
    [{ limitRequestLine: 100 }, get(`/${'a'.repeat(40)}`), get(`/${'a'.repeat(100)}`), 414],
    [{ limitRequestFields: 3 }, get('/', 'A: 1\r\nB: 2\r\n'), get('/', 'A: 1\r\nB: 2\r\nC: 3\r\n'), 431],
    [{ limitRequestFieldSize: 50 }, get('/', 'A: 1\r\n'), get('/', `A: ${'1'.repeat(60)}\r\n`), 431],
  ])('the limits refuse what exceeds them, and nothing else: %j', async (limit, fits, exceeds, status) => {
    const { port } = await startServer({ ...fixture('javascript', 'hello'), ...limit });
    expect((await exchange(port, fits)).status).toBe(200);
    expect((await exchange(port, exceeds)).status).toBe(status);
  });

  it.each([
    [1, 1],
    [3, 3],
  ])('concurrency lets one worker hold several requests that wait: %d', async (concurrency, most) => {
    const source = `
      let running = 0, most = 0;
      export async function application(environ, startResponse) {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 20));
        running -= 1;
        startResponse('200 OK', []);
        return [String(most)];
      }`;
    const application = `${makeFolder({ 'counts.mjs': source })}/counts.mjs`;
    const { port } = await startServer({ application, concurrency });
    const answers = await Promise.all(Array.from({ length: 9 }, () => exchange(port, get('/'))));
    expect(Math.max(...answers.map(({ body }) => Number(body)))).toBe(most);
  });

  it('concurrency says how many one worker can hold', async () => {
    const most = { ...fixture('javascript', 'hello'), concurrency: 960 };
    expect((await exchange((await startServer(most)).port, get('/'))).status).toBe(200);
    await expect(startServer({ ...most, concurrency: 961 })).rejects.toThrow(
      'concurrency: a JavaScript worker runs at most 960 requests at once, not 961: more threads or processes run more',
    );
  });

  it.each([1, 3])('threads run as many requests at the same time: %d', async (threads) => {
    const source = `
      import { threadId } from 'node:worker_threads';
      export function application(environ, startResponse) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        startResponse('200 OK', []);
        return [String(threadId)];
      }`;
    const application = `${makeFolder({ 'names.mjs': source })}/names.mjs`;
    const { port } = await startServer({ application, threads });
    const answers = await Promise.all(Array.from({ length: 9 }, () => exchange(port, get('/'))));
    expect(new Set(answers.map(({ body }) => body.toString())).size).toBe(threads);
  });
});

it.each([
  [
    'make.mjs',
    `export const create = () => (environ, startResponse) => { startResponse('200 OK', []); return ['made']; };`,
  ],
  [
    'make.py',
    `def create():
    def application(environ, start_response):
        start_response('200 OK', [])
        return [b'made']
    return application
`,
  ],
])('factory calls what makes the application, in either language: %s', async (file, source) => {
  const cwd = makeFolder({ [file]: source });
  const server = await serveLido(['--python', venv, '--factory', `${file}:create`], { cwd });
  expect(await (await fetch(server.url)).text()).toBe('made');
  const { stderr } = await runLido(['check', '--factory', file], { cwd });
  expect(stderr).toContain(`${file}, with --factory, names no callable`);
});

it('envFile sets variables that are not set already', async () => {
  const source = `export function application(environ, startResponse) {
    startResponse('200 OK', []);
    const { ONE, TWO, THREE } = process.env;
    return [[ONE, TWO, THREE].join()];
  }`;
  const cwd = makeFolder({
    'site.mjs': source,
    'a.env': 'ONE=file\nTWO="of two words"',
    'b.env': 'TWO=later\nTHREE=3',
    'lido.config.toml': 'application = "site.mjs"\nenvFile = ["a.env", "b.env"]\n',
    'bad.toml': '\nenvFile = "none.env"\n',
  });
  const server = await serveLido([], { cwd, env: { ONE: 'set' } });
  expect(await (await fetch(server.url)).text()).toBe('set,of two words,3');
  const { code, stderr } = await runLido(['check', '-c', 'bad.toml'], { cwd });
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`bad.toml:2: ${cwd}/none.env cannot be read: ENOENT`),
  ]);
});

it('python runs the application in that virtual environment', async () => {
  const source = `import sys
def application(environ, start_response):
    start_response('200 OK', [])
    return [sys.prefix.encode()]
`;
  const cwd = makeFolder({ 'prefix.py': source });
  const server = await serveLido(['--python', venv, 'prefix.py'], { cwd, env: { VIRTUAL_ENV: '' } });
  expect(await (await fetch(server.url)).text()).toBe(venv);
});
