// What an application prints: as users know it in text, and lines of the log, each with its request, where that is JSON.
import { describe, expect, it } from 'vitest';
import { makeFolder, type Running, serveLido } from './support/command.js';
import { venv } from './support/server.js';

const python = `
import json, logging, os, signal, subprocess, sys, threading
logging.basicConfig(level=logging.INFO, format='%(message)s')
print('imported')

def print_pieces(name):
    for number in range(200):
        print(name, number, name, number, 'end')

keeps, may_end = threading.Event(), threading.Event()

def keep(errors):
    errors.write('begun in one request, ')
    keeps.set()
    may_end.wait()
    errors.write('ended in another\\n')

def application(environ, start_response):
    global keeper
    path = environ['PATH_INFO']
    errors = environ['wsgi.errors']
    body = b''
    if path == '/keep':
        keeper = threading.Thread(target=keep, args=(errors,))
        keeper.start()
        keeps.wait()
    if path == '/end':
        errors.write('of the other ')
        may_end.set()
        keeper.join()
        errors.write('alone\\n')
    if path == '/all':
        print('printed', path)
        print('no line break', end='')
        sys.stdout.flush()
        sys.stderr.write('two\\nlines\\n')
        logging.getLogger('shop').warning('careful')
        environ['wsgi.errors'].write('to wsgi.errors\\n')
        thread = threading.Thread(target=print, args=('from a thread',))
        thread.start()
        thread.join()
        os.write(2, b'native\\n')
        subprocess.run(['sh', '-c', 'echo from a program'], check=True)
        print('without an end', end='')
    if path == '/threads':
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=print_pieces, args=(name,)) for name in 'abcd']
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if path == '/kind':
        stream = sys.stdout
        body = json.dumps([stream.fileno(), stream.isatty(), stream.encoding, stream.writable(), stream.name, stream.mode]).encode()
    if path == '/wrong':
        sys.stdout.write(b'bytes')
    if path == '/die':
        print('last words')
        os.write(2, b'native last words\\n')
        os.kill(os.getpid(), signal.SIGKILL)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body]
`;
const javascript = `
const wait = () => new Promise((resolve) => setTimeout(resolve, 20));
console.log('imported');

export async function application(environ, startResponse) {
  const path = environ.PATH_INFO;
  console.log('begin', path);
  await wait();
  if (path === '/all') {
    console.debug('debug');
    console.warn('careful');
    console.error('two\\nlines');
    process.stdout.write('no line ');
    process.stdout.write('break\\n');
    environ['wsgi.errors'].write('to wsgi.errors\\n');
  }
  if (path === '/die') {
    console.log('last words');
    process.exit(1);
  }
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  console.log('end', path);
  return [''];
}
`;

const asgi = `
import asyncio

async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    print('begin', scope['path'])
    await asyncio.sleep(0.05)
    await asyncio.to_thread(print, 'thread', scope['path'])
    print('end', scope['path'])
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body'})
`;

interface Printed {
  readonly level: number;
  readonly msg: string;
  readonly pid?: number;
  readonly worker?: number;
  readonly application?: string;
  readonly requestId?: string;
  readonly logger?: string;
  readonly stream?: string;
}

interface Serving extends Running {
  readonly stdout: () => string;
  /** The lines of the JSON log so far. */
  readonly lines: () => Printed[];
}

async function serve(
  file: 'prints.py' | 'prints.mjs' | 'prints_async.py',
  ...words: string[]
): Promise<Serving> {
  const folder = makeFolder({ 'prints.py': python, 'prints.mjs': javascript, 'prints_async.py': asgi });
  const running = await serveLido(['--python', venv, '--threads', '2', ...words, file], { cwd: folder });
  const lines = () =>
    running
      .stderr()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Printed);
  return { ...running, lines };
}

const JSON_LOG = ['--log-format', 'json'];
const isPrinted = ({ stream }: Printed) => stream !== undefined;

describe('in text, what a Python application prints', () => {
  it('goes where it always has, with what is written past Python', async () => {
    const { url, stdout, stderr, waitFor } = await serve('prints.py');
    expect((await fetch(`${url}/all`)).status).toBe(200);
    await waitFor('native');
    await expect.poll(stdout).toBe('imported\nprinted /all\nno line breakfrom a thread\nfrom a program\n');
    expect(stderr()).toContain('\ntwo\nlines\ncareful\n');
    expect(stderr()).toMatch(/\] ERROR: \[[0-9a-f]+-1\] to wsgi.errors\n/);
    expect((await fetch(`${url}/all`)).status).toBe(200);
    await expect.poll(stdout).toContain('without an endprinted /all\n');
  });

  it('stays in whole lines where a thread keeps wsgi.errors past its request', async () => {
    const { url, stderr, waitFor } = await serve('prints.py');
    for (const path of ['/keep', '/end']) expect((await fetch(url + path)).status).toBe(200);
    await waitFor('alone');
    expect(stderr()).toContain('\nbegun in one request, ended in another\n');
    expect(stderr()).toMatch(/\] ERROR: \[[0-9a-f]+-2\] of the other alone\n/);
  });

  it('stays in whole lines, whoever prints at the same time', async () => {
    const { url, stdout } = await serve('prints.py');
    await fetch(`${url}/threads`);
    await expect.poll(() => stdout().split('\n')).toHaveLength(802);
    const broken = stdout()
      .split('\n')
      .slice(1, -1)
      .filter((line) => !/^([abcd]) (\d+) \1 \2 end$/.test(line));
    expect(broken).toEqual([]);
  });

  it('goes through a stream like any other', async () => {
    const { url, stderr } = await serve('prints.py');
    expect(await (await fetch(`${url}/kind`)).json()).toEqual([1, false, 'utf-8', true, '<stdout>', 'w']);
    expect((await fetch(`${url}/wrong`)).status).toBe(500);
    expect(stderr()).toContain('TypeError: write() argument must be str, not bytes');
  });

  it('is lost without harm where nobody reads', async () => {
    const { url, child } = await serve('prints.py');
    child.stdout?.destroy();
    for (let count = 0; count < 3; count += 1) expect((await fetch(`${url}/threads`)).status).toBe(200);
  });
});

describe('in text, what a JavaScript application prints', () => {
  it('goes where it always has, to the last word', async () => {
    const { url, stdout, stderr } = await serve('prints.mjs', '--threads', '1');
    expect((await fetch(`${url}/all`)).status).toBe(200);
    expect((await fetch(`${url}/die`)).status).toBe(500);
    await expect
      .poll(stdout)
      .toContain('imported\nbegin /all\ndebug\nno line break\nend /all\nbegin /die\nlast words\n');
    expect(stderr()).toContain('careful\ntwo\nlines\n');
  });

  it('is lost without harm where nobody reads', async () => {
    const { url, child } = await serve('prints.mjs');
    child.stdout?.destroy();
    for (let count = 0; count < 3; count += 1) expect((await fetch(`${url}/`)).status).toBe(200);
  });
});

describe('where the log is JSON', () => {
  it('each line of Python says which request it is of', async () => {
    const { url, lines, stdout } = await serve('prints.py', ...JSON_LOG);
    expect((await fetch(`${url}/all`)).status).toBe(200);
    // One comes through the supervisor, the other when the request is over.
    const last = ['from a program', 'without an end'];
    await expect.poll(() => lines().filter(({ msg }) => last.includes(msg)).length).toBe(2);
    const common = { pid: expect.any(Number), application: 'prints.py', worker: expect.any(Number) };
    const own = { ...common, requestId: expect.stringMatching(/^[0-9a-f]+-1$/) };
    const of = (stream: string) => lines().filter((line) => line.stream === stream);
    const inRequest = (line: Printed) => line.requestId !== undefined;
    expect(of('stdout').filter(inRequest)).toMatchObject([
      { level: 30, msg: 'printed /all', ...own },
      { level: 30, msg: 'no line break', ...own },
      { level: 30, msg: 'without an end', ...own },
    ]);
    expect(of('stderr').filter(inRequest)).toMatchObject([
      { level: 50, msg: 'two\nlines', ...own },
      { level: 40, msg: 'careful', logger: 'shop', ...own },
    ]);
    expect(of('wsgi.errors')).toMatchObject([{ level: 50, msg: 'to wsgi.errors', ...own }]);
    const others = lines().filter((line) => isPrinted(line) && !inRequest(line));
    expect(others.map(({ level, msg }) => [level, msg]).sort()).toEqual([
      [30, 'from a program'],
      [30, 'from a thread'],
      [30, 'imported'],
      [50, 'native'],
    ]);
    for (const { pid, worker } of others) expect([typeof pid, worker]).toEqual(['number', undefined]);
    expect(stdout()).toBe('');
  });

  it('each line of JavaScript says which of the requests it is of that run at once', async () => {
    const { url, lines, stdout } = await serve(
      'prints.mjs',
      ...JSON_LOG,
      '--concurrency',
      '4',
      '--threads',
      '1',
    );
    const paths = ['/a', '/b', '/c', '/all'];
    await Promise.all(paths.map((path) => fetch(`${url}${path}`)));
    await expect.poll(() => lines().filter(({ msg }) => msg.startsWith('end')).length).toBe(4);
    const requests = new Map(lines().map(({ msg, requestId }) => [msg, requestId]));
    const ids = paths.map((path) => requests.get(`begin ${path}`));
    expect(new Set(ids).size).toBe(4);
    expect(paths.map((path) => requests.get(`end ${path}`))).toEqual(ids);
    const id = requests.get('begin /all');
    const common = { pid: expect.any(Number), application: 'prints.mjs', worker: 1 };
    expect(lines().filter((line) => isPrinted(line) && line.requestId === id)).toMatchObject([
      { level: 30, stream: 'stdout', msg: 'begin /all', ...common },
      { level: 20, stream: 'stdout', msg: 'debug' },
      { level: 40, stream: 'stderr', msg: 'careful' },
      { level: 50, stream: 'stderr', msg: 'two\nlines' },
      { level: 30, stream: 'stdout', msg: 'no line break' },
      { level: 50, stream: 'wsgi.errors', msg: 'to wsgi.errors' },
      { level: 30, stream: 'stdout', msg: 'end /all' },
    ]);
    expect(lines().find(({ msg }) => msg === 'imported')).toMatchObject({ worker: 1 });
    expect(stdout()).toBe('');
  });

  it('so does each of an ASGI application, and of threads that run in its context', async () => {
    const { url, lines } = await serve('prints_async.py', ...JSON_LOG, '--threads', '1');
    const paths = ['/a', '/b', '/c'];
    await Promise.all(paths.map((path) => fetch(`${url}${path}`)));
    await expect.poll(() => lines().filter(({ msg }) => msg.startsWith('end')).length).toBe(3);
    const requests = new Map(lines().map(({ msg, requestId }) => [msg, requestId]));
    const ids = paths.map((path) => requests.get(`begin ${path}`));
    expect(new Set(ids).size).toBe(3);
    expect(ids).not.toContain(undefined);
    for (const what of ['thread', 'end'])
      expect(paths.map((path) => requests.get(`${what} ${path}`))).toEqual(ids);
  });

  it('the last words of a process are there, before the log says that it ended', async () => {
    const { url, lines } = await serve('prints.py', ...JSON_LOG);
    await fetch(`${url}/die`).catch(() => {});
    await expect.poll(() => lines().some(({ msg }) => msg.includes('ended by SIGKILL'))).toBe(true);
    const messages = lines().map(({ msg }) => msg);
    const end = messages.findIndex((msg) => msg.includes('ended by SIGKILL'));
    expect(messages.slice(0, end)).toEqual(expect.arrayContaining(['last words', 'native last words']));
  });

  it('the access log stays apart, and without captureOutput all that is printed does', async () => {
    const words = [...JSON_LOG, '--access-log', '-', '--access-log-format', '%(r)s %(s)s'];
    const captured = await serve('prints.py', ...words);
    await fetch(`${captured.url}/all`);
    await expect.poll(captured.stdout).toBe('GET /all HTTP/1.1 200\n');
    const plain = await serve('prints.py', ...words, '--no-capture-output');
    await fetch(`${plain.url}/all`);
    await expect.poll(plain.stdout).toContain('GET /all HTTP/1.1 200\n');
    expect(plain.stdout()).toContain('imported\nprinted /all\n');
    expect(plain.stderr()).toContain('\ncareful\n');
  });
});
