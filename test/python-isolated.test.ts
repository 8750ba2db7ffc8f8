// --python-interpreter isolated: an interpreter with a GIL of its own in each thread. Needs CPython 3.13 or later.
import { describe, expect, it } from 'vitest';
import type { ProcessStacks } from '../dist/src/observe/stacks.js';
import { makeFolder, runLido } from './support/command.js';
import { findPythons, hasOwnGils } from './support/python-process.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { root, startServer } from './support/server.js';

const found = findPythons().map(([, interpreter]) => interpreter);
const able = found.filter(hasOwnGils);
const older = found.filter((interpreter) => !hasOwnGils(interpreter));
if (able.length === 0)
  console.warn('isolated interpreters were not tested: no CPython 3.13 or later is here');

const source = `
import concurrent.futures, multiprocessing, os, sys, threading, time

count = 0

def application(environ, start_response):
    global count
    count += 1
    if environ['PATH_INFO'] == '/loop':
        while True:
            pass
    body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if environ['PATH_INFO'] == '/echo':
        return (body[start:start + 1000] for start in range(0, len(body), 1000))
    if environ['PATH_INFO'] == '/calls':
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            sum(map(sum, ((n, n) for n in range(100))))
    if environ['PATH_INFO'] == '/frames':
        try:
            getattr(sys, environ['QUERY_STRING'])()
        except RuntimeError as error:
            return [str(error).encode()]
    if environ['PATH_INFO'] == '/background':
        threading.Thread(target=threading.Event().wait, args=(0.2,)).start()
    if environ['PATH_INFO'] == '/daemon':
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if environ['PATH_INFO'] == '/processes':
        context = multiprocessing.get_context('spawn')
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            return [repr(list(pool.map(abs, [-1, -2]))).encode()]
    if environ['PATH_INFO'] == '/fork':
        try:
            child = os.fork()
        except RuntimeError as error:
            return [str(error).encode()]
        if child == 0:
            os._exit(3)
        return [b'%d' % os.waitpid(child, 0)[1]]
    state = [id(sys.modules), environ['wsgi.multithread'], environ['wsgi.multiprocess']]
    return [repr(state).encode()]
`;

async function serve(python: string, settings = {}) {
  const folder = makeFolder({ 'separate.py': source });
  const application = `${folder}/separate.py`;
  return startServer({ application, python, pythonInterpreter: 'isolated', threads: 2, ...settings });
}

it.each(older.slice(0, 1))(
  'is refused by %s, which is too old or has no GIL, or changes nothing',
  async (python) => {
    const words = ['check', '--python', python, '--python-interpreter', 'isolated', 'examples/hello.py'];
    const { code, stderr, stdout } = await runLido(words, { cwd: root });
    if (stdout.includes('without a GIL')) expect(code).toBe(0);
    else expect([code, stderr]).toEqual([3, expect.stringContaining('LIDO_ISOLATION_UNSUPPORTED')]);
  },
);

describe.each(able)('an interpreter for each thread of %s', (python) => {
  it('has modules of its own, and says what it shares', async () => {
    const { port } = await serve(python);
    const seen = new Set<string>();
    while (seen.size < 2) {
      const ask = () => exchange(port, get('/'));
      for (const { body } of await Promise.all(Array.from({ length: 8 }, ask))) seen.add(body.toString());
    }
    for (const state of seen) expect(state).toMatch(/^\[\d+, False, True\]$/);
  });

  it('takes and sends bodies of any size', async () => {
    const { port } = await serve(python);
    const body = Buffer.from(Array.from({ length: 1_000_003 }, (_, n) => n % 251));
    const client = new RawClient(port);
    client.send(
      `POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    client.send(body);
    const answer = await exchange(
      port,
      Buffer.concat([
        Buffer.from(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`),
        body,
      ]),
    );
    expect(answer.body.equals(body)).toBe(true);
    expect((await client.readAll()).length).toBeGreaterThan(body.length);
  });

  it('is interrupted by the time-out, and goes on', async () => {
    const { port, findLine } = await serve(python, { timeout: 0.3, threads: 1 });
    for (let round = 0; round < 3; round += 1) {
      expect((await exchange(port, get('/loop'))).status).toBe(504);
      expect((await exchange(port, get('/'))).status).toBe(200);
    }
    const line = await findLine(({ msg }) => msg.endsWith('it stood here'));
    expect(line.traceback).toContain('separate.py');
  });

  it('shows where each stands, with the threads that it started', async () => {
    const { port, server } = await serve(python, { timeout: 3, admin: ['127.0.0.1:0'] });
    await exchange(port, get('/daemon'));
    const busy = exchange(port, get('/loop'));
    const look = async () => {
      const stacks = await (await fetch(`${server.adminAddresses[0]}/stacks`)).json();
      return (stacks as Record<string, ProcessStacks>)[1] as ProcessStacks;
    };
    await expect.poll(look, { timeout: 5000 }).toMatchObject({
      isGilKept: false,
      workers: expect.arrayContaining([
        expect.objectContaining({ stack: '', reason: 'idle' }),
        expect.objectContaining({ stack: expect.stringMatching(/separate.py", line \d+, in application/) }),
      ]),
      threads: [{ name: 'Thread-1 (wait)', stack: expect.stringContaining('in wait') }],
    });
    expect((await busy).status).toBe(504);
  });

  it('leaves the frames of other interpreters alone while it looks where it stands', async () => {
    const { port } = await serve(python, { timeout: 0.2 });
    const busy = () => exchange(port, get('/calls'));
    for (let round = 0; round < 5; round += 1) {
      const [loop, ...others] = await Promise.all([exchange(port, get('/loop')), busy(), busy()]);
      expect(loop.status).toBe(504);
      for (const { status } of others) expect([200, 504]).toContain(status);
    }
  });

  it.each(['_current_frames', '_current_exceptions'])('refuses sys.%s()', async (name) => {
    const { port } = await serve(python);
    const { body } = await exchange(port, get(`/frames?${name}`));
    expect(body.toString()).toContain(`LIDO_FRAMES_OF_OTHERS: sys.${name}() reaches into`);
  });

  it.each(['/background', '/daemon'])(
    'ends with the server, also where a thread runs from %s',
    async (path) => {
      const { server, port } = await serve(python);
      expect((await exchange(port, get(path))).status).toBe(200);
      expect(await server.close()).toBe(true);
    },
  );

  it('starts processes anew, and refuses to fork, whose child would be aborted', async () => {
    const { port } = await serve(python);
    expect((await exchange(port, get('/processes'))).body.toString()).toBe('[1, 2]');
    const refusal = 'fork not supported for isolated subinterpreters';
    expect((await exchange(port, get('/fork'))).body.toString()).toBe(refusal);
  });

  it('is told which extension module refuses it', async () => {
    const refusing = `
raise ImportError("module _example does not support loading in subinterpreters")
`;
    const cwd = makeFolder({ 'needs.py': refusing });
    const words = ['check', '--python', python, '--python-interpreter', 'isolated', 'needs.py'];
    const { code, stderr } = await runLido(words, { cwd });
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining('LIDO_MODULE_REFUSES_ISOLATION needs needs _example'),
    ]);
    expect(stderr).toContain('--processes');
  });
});
