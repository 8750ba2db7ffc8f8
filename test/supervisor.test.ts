import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeFolder, type Running, runLido, serveLido } from './support/command.js';
import { venv } from './support/server.js';

/** Says which process answers, under /wait after a while. */
const WHO = `export async function application(environ, startResponse) {
  if (environ.PATH_INFO === '/wait') {
    environ['wsgi.errors'].write('it waits in ' + process.pid + '\\n');
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [\`\${process.pid} \${environ['lido.request_id']} \${environ['wsgi.multiprocess']}\`];
}
`;
const STUCK = `import os, time
def application(environ, start_response):
    environ['wsgi.errors'].write('it runs in %d\\n' % os.getpid())
    time.sleep(60)
`;
const two = ['--processes', '2', '--threads', '1'];

/** One request on a connection of its own. */
function ask(url: string, agent: http.Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    request.on('error', reject);
  });
}

/** Asks until each of `count` processes has answered. Resolves with their ids. */
async function findProcesses(url: string, count: number): Promise<number[]> {
  const pids = new Set<number>();
  while (pids.size < count) pids.add(Number.parseInt(await ask(url), 10));
  return [...pids];
}

async function refuses(url: string): Promise<boolean> {
  return await ask(url).then(
    () => false,
    () => true,
  );
}

describe('several processes', () => {
  it('share one port, which the start line tells once, and number requests apart', async () => {
    const server = await serveLido([...two, 'who.mjs'], { cwd: makeFolder({ 'who.mjs': WHO }) });
    expect(server.stderr()).toMatch(
      /^\[.*\] INFO: serving who\.mjs by Node\.js \S+ on 1 thread in each of 2 processes at http:\/\/127\.0\.0\.1:\d+\n/,
    );
    const answers = (await Promise.all(Array.from({ length: 40 }, () => ask(server.url)))).map((text) =>
      text.split(' '),
    );
    expect(new Set(answers.map(([pid]) => pid)).size).toBe(2);
    expect(new Set(answers.map(([, id]) => id)).size).toBe(40);
    expect(new Set(answers.map(([, , multiprocess]) => multiprocess))).toEqual(new Set(['true']));
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
    expect(await refuses(server.url)).toBe(true);
  });

  it('share out connections that are kept', async () => {
    const server = await serveLido([...two, 'who.mjs'], { cwd: makeFolder({ 'who.mjs': WHO }) });
    const agents = Array.from({ length: 32 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
    onTestFinished(() => {
      for (const agent of agents) agent.destroy();
    });
    const answers: string[] = [];
    // One after the other: of many at once, a process that this machine leaves no time for rightly gets fewer.
    for (const agent of agents) answers.push(await ask(server.url, agent));
    const [first] = answers[0]?.split(' ') ?? [];
    const share = answers.filter((answer) => answer.startsWith(`${first} `)).length;
    expect(share).toBeGreaterThanOrEqual(8);
    expect(share).toBeLessThanOrEqual(24);
  });

  it('share several addresses, Unix sockets too, and take over a socket that was left behind', async () => {
    const cwd = makeFolder({ 'who.mjs': WHO });
    const path = join(cwd, 'lido.sock');
    const words = [...two, '--bind', '127.0.0.1:0', '--bind', `unix:${path}`, 'who.mjs'];
    const killed = await serveLido(words, { cwd });
    const pids = await findProcesses(killed.url, 2);
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(existsSync(path)).toBe(true);
    const server = await serveLido(words, { cwd });
    const urls = server.stderr().match(/http:\/\/127\.0\.0\.1:\d+/g) ?? [];
    expect(new Set(urls).size).toBe(2);
    for (const url of urls) expect(await findProcesses(url, 2)).toHaveLength(2);
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ socketPath: path, path: '/', agent: false }, resolve).on('error', reject);
    });
    answer.resume();
    expect(answer.statusCode).toBe(200);
    expect(pids).toHaveLength(2);
  });

  it('lose nothing but what a killed process ran, and get another in its place', async () => {
    const server = await serveLido([...two, 'who.mjs'], { cwd: makeFolder({ 'who.mjs': WHO }) });
    const [victim = 0, other = 0] = await findProcesses(server.url, 2);
    const outcome = { answered: 0, lost: 0, running: 0 };
    let stopping = false;
    const client = async () => {
      while (!stopping) {
        outcome.running += 1;
        await ask(server.url).then(
          () => {
            outcome.answered += 1;
          },
          () => {
            outcome.lost += 1;
          },
        );
        outcome.running -= 1;
      }
    };
    const clients = Array.from({ length: 16 }, client);
    while (outcome.answered < 200) await ask(server.url);
    process.kill(victim, 'SIGKILL');
    await server.waitFor('serves');
    const replaced = await findProcesses(server.url, 2);
    const answered = outcome.answered;
    while (outcome.answered < answered + 200) await ask(server.url);
    stopping = true;
    await Promise.all(clients);
    expect(outcome.lost).toBeLessThanOrEqual(16);
    expect(replaced).toContain(other);
    expect(replaced).not.toContain(victim);
    const lines = server
      .stderr()
      .split('\n')
      .filter((line) => line.includes('ERROR'));
    expect(lines.map((line) => line.replace(/^\[.*\] /, ''))).toEqual([
      `ERROR: process ${victim} ended by SIGKILL; another takes its place`,
    ]);
  });

  it('leave a process out that stands still, until it goes on', async () => {
    const server = await serveLido([...two, 'who.mjs'], { cwd: makeFolder({ 'who.mjs': WHO }) });
    const [stopped = 0] = await findProcesses(server.url, 2);
    process.kill(stopped, 'SIGSTOP');
    // While the other one waits it comes first, however many connections it had told of: one of these waits in it, for so long
    // that it is known to stand still.
    const early: Promise<string>[] = [ask(`${server.url}/wait`).catch(() => 'lost')];
    for (const began = performance.now(); performance.now() - began < 1000; await pause(20))
      early.push(ask(server.url).catch(() => 'lost'));
    // The other one's only thread is busy for a while: what waits there does not move to the one that stands still.
    const paths = ['/wait', ...Array.from({ length: 30 }, () => '/')];
    const many = await Promise.all(paths.map((path) => ask(server.url + path)));
    for (const answer of many) expect(Number.parseInt(answer, 10)).not.toBe(stopped);
    process.kill(stopped, 'SIGCONT');
    expect(await Promise.all(early)).not.toContain('lost');
    await findProcesses(server.url, 2);
  });

  it('try again with pauses, and say so once, while the application cannot be imported any more', async () => {
    const cwd = makeFolder({
      'once.mjs': `import { appendFileSync, existsSync, statSync, writeSync } from 'node:fs';
if (existsSync('broken')) {
  appendFileSync('tries', '+');
  writeSync(2, 'try ' + statSync('tries').size + '\\n');
  throw new Error('no database');
}
${WHO}`,
    });
    const server = await serveLido([...two, 'once.mjs'], { cwd });
    const [victim = 0, other = 0] = await findProcesses(server.url, 2);
    writeFileSync(join(cwd, 'broken'), '');
    process.kill(victim, 'SIGKILL');
    await server.waitFor('try 3\n');
    expect(Number.parseInt(await ask(server.url), 10)).toBe(other);
    rmSync(join(cwd, 'broken'));
    await server.waitFor('serves');
    expect(server.stderr().split('a process cannot start')).toHaveLength(2);
    expect(server.stderr()).toContain('Error: no database');
    expect(await findProcesses(server.url, 2)).toContain(other);
  });

  it('finish what runs when told to stop, and are told once where a terminal tells each of them', async () => {
    const server = await serveLido([...two, 'who.mjs'], { cwd: makeFolder({ 'who.mjs': WHO }) });
    const pids = await findProcesses(server.url, 2);
    const answers = Promise.all([ask(`${server.url}/wait`), ask(`${server.url}/wait`)]);
    for (const pid of pids) await server.waitFor(`it waits in ${pid}`);
    for (const pid of [...pids, server.child.pid ?? 0]) process.kill(pid, 'SIGINT');
    expect((await answers).map((text) => Number.parseInt(text, 10)).sort()).toEqual(pids.sort());
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
  });

  it('finish what runs, and end, when the supervisor is gone', async () => {
    const server = await serveLido([...two, 'who.mjs'], { cwd: makeFolder({ 'who.mjs': WHO }) });
    await findProcesses(server.url, 2);
    const answer = ask(`${server.url}/wait`);
    await server.waitFor('it waits in');
    server.child.kill('SIGKILL');
    expect(await answer).toContain('true');
    // Standard error closes when the last process has ended.
    expect(await server.ended).toMatchObject({ signal: 'SIGKILL' });
  });

  it.each(['--graceful-timeout 0.3', 'a second signal'])(
    'end after %s, even those stuck in Python',
    async (end) => {
      const server = await serveStuck(end.startsWith('--') ? end.split(' ') : []);
      server.child.kill('SIGTERM');
      if (end === 'a second signal') {
        await server.waitFor('SIGTERM: finishing what runs');
        server.child.kill('SIGTERM');
      }
      const { code, signal } = await server.ended;
      expect([code, signal]).toEqual(end === 'a second signal' ? [null, 'SIGTERM'] : [0, null]);
    },
  );

  it.each([0, 8])(
    'are killed a second after the graceful time-out when they do not end, with %i connections on their way',
    async (count) => {
      const server = await serveLido(['--graceful-timeout', '0.1', ...two, 'who.mjs'], {
        cwd: makeFolder({ 'who.mjs': WHO }),
      });
      const [stopped = 0] = await findProcesses(server.url, 2);
      process.kill(stopped, 'SIGSTOP');
      const { port } = new URL(server.url);
      for (let index = 0; index < count; index += 1) {
        const client = connect(Number(port), '127.0.0.1').on('error', () => {});
        onTestFinished(() => void client.destroy());
        await once(client, 'connect');
      }
      server.child.kill('SIGTERM');
      expect(await server.ended).toMatchObject({ code: 0, signal: null });
      expect(server.stderr()).toContain(
        `killing what did not end within the graceful time-out: process ${stopped}\n`,
      );
    },
  );

  async function serveStuck(words: readonly string[]): Promise<Running> {
    const server = await serveLido([...words, ...two, '--timeout', '0', '--python', venv, 'stuck.py'], {
      cwd: makeFolder({ 'stuck.py': STUCK }),
    });
    const lost = Promise.all([1, 2].map(() => refuses(server.url)));
    onTestFinished(async () => void expect(await lost).toEqual([true, true]));
    await server.waitFor('it runs in');
    return server;
  }
});

describe('several processes that cannot start', () => {
  it.each([
    ['broken.mjs', `throw new Error('no database');\n`],
    ['broken.py', `raise RuntimeError('no database')\n`],
    ['lacking.mjs', `export const other = 1;\n`],
  ])('fail as one does: %s', async (file, text) => {
    const cwd = makeFolder({ [file]: text });
    const words = ['--bind', '127.0.0.1:0', '--python', venv, file];
    const alone = await runLido(words, { cwd });
    expect(alone.code).toBe(3);
    expect(await runLido([...two, ...words], { cwd })).toEqual(alone);
  });

  it('say so when a process ends while it loads the application', async () => {
    const cwd = makeFolder({ 'leaves.py': 'import os\nos._exit(7)\n' });
    const words = [...two, '--bind', '127.0.0.1:0', '--python', venv, 'leaves.py'];
    expect(await runLido(words, { cwd })).toMatchObject({
      code: 3,
      stderr: `lido: LIDO_ENDED_WHILE_LOADING the worker ended while it loaded leaves.py: its process ended with status 7
  an application must not exit or exhaust memory while it is imported\n`,
    });
  });

  describe('in which Node.js does not come to the code of Lido', () => {
    /** Node reads this file before its own command, in processes under the supervisor alone. */
    function meet(what: string) {
      const isProcess = "process.argv[1]?.endsWith('process-entry.cjs')";
      const cwd = makeFolder({ 'who.mjs': WHO, 'first.cjs': `if (${isProcess}) { ${what} }` });
      return { cwd, env: { NODE_OPTIONS: '--require ./first.cjs' } };
    }

    it('say that threads may be lacking, and blame no application', async () => {
      const { code, stderr } = await runLido(
        [...two, '--bind', '127.0.0.1:0', 'who.mjs'],
        meet('process.exit(6)'),
      );
      expect([code, stderr]).toEqual([
        1,
        `lido: LIDO_NO_THREADS the system seems to give Node.js no more threads or processes: a process ended with status 6, and had not come to Lido's code
  raise what limits them (ulimit -u, TasksMax of systemd, a container's limit of pids) or its memory, or take fewer processes and threads\n`,
      ]);
    });

    it('are told of while they stand still', async () => {
      const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 7000)';
      const { stderr } = await serveLido([...two, 'who.mjs'], meet(wait));
      expect(stderr()).toMatch(
        /process \d+ has not come to Lido's code for 5 s: it gets no processor time, or Node.js stands still for want of threads; it has \d+, and /,
      );
    }, 30_000);
  });

  it('say once that an address is taken, with status 1', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const address = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
    const cwd = makeFolder({ 'who.mjs': WHO });
    const alone = await runLido(['--bind', address, 'who.mjs'], { cwd });
    expect(alone).toMatchObject({ code: 1, stderr: expect.stringContaining('EADDRINUSE') });
    expect(await runLido([...two, '--bind', address, 'who.mjs'], { cwd })).toEqual(alone);
    expect(await runLido(['--supervise', '--bind', address, 'who.mjs'], { cwd })).toEqual(alone);
  });
});
