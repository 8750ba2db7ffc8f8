// Requests that would wait in one process while another is idle, on connections that are kept.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { makeFolder, type Running, serveLido } from './support/command.js';
import { get, RawClient } from './support/raw-client.js';
import { venv } from './support/server.js';

/** /held works until there is a file of that name, /work for two milliseconds; others answer at once, with who they are and what they were asked. */
const APPLICATION = `import { existsSync } from 'node:fs';
const text = (bytes) => Buffer.from(bytes).toString();
export function application(environ, startResponse) {
  if (environ.PATH_INFO.startsWith('/held')) {
    environ['wsgi.errors'].write(environ.PATH_INFO + ' runs in ' + process.pid + '\\n');
    while (!existsSync('.' + environ.PATH_INFO));
  }
  const begun = performance.now();
  while (environ.PATH_INFO === '/work' && performance.now() < begun + 2);
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [[process.pid, environ.PATH_INFO, environ.REMOTE_ADDR, text(environ['wsgi.input'].read())].join(' ')];
}
`;
const IN_PYTHON = `import os
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path.startswith('/held'):
        environ['wsgi.errors'].write('%s runs in %d\\n' % (path, os.getpid()))
        while not os.path.exists('.' + path):
            pass
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('%d %s' % (os.getpid(), path)).encode()]
`;
const two = ['--processes', '2', '--threads', '1'];

async function serve(words: readonly string[] = []): Promise<Served> {
  const cwd = makeFolder({ 'who.mjs': APPLICATION, 'who.py': IN_PYTHON });
  return { ...(await serveLido([...two, ...words], { cwd })), cwd };
}

interface Served extends Running {
  readonly cwd: string;
}

function portOf({ url }: Running): number {
  return Number(new URL(url).port);
}

async function ask(client: RawClient, path: string): Promise<string> {
  client.send(get(path));
  return (await client.readResponse()).body.toString();
}

/** Connections of which the first two are in one process, kept after an answer each; with that process's id. */
async function connectTwice(server: Running, prefix = ''): Promise<readonly [RawClient, RawClient, number]> {
  const first = new Map<string, RawClient>();
  for (;;) {
    const client = new RawClient(portOf(server));
    if (prefix !== '') client.send(prefix);
    const [pid = ''] = (await ask(client, '/')).split(' ');
    const other = first.get(pid);
    if (other !== undefined) return [other, client, Number(pid)];
    first.set(pid, client);
  }
}

/** So many connections that are all in one process, kept after an answer each; with that process's id. */
async function connectToOne(server: Running, many: number): Promise<readonly [RawClient[], number]> {
  const byProcess = new Map<string, RawClient[]>();
  for (;;) {
    const client = new RawClient(portOf(server));
    const [pid = ''] = (await ask(client, '/')).split(' ');
    const clients = [...(byProcess.get(pid) ?? []), client];
    byProcess.set(pid, clients);
    if (clients.length < many) continue;
    for (const [other, kept] of byProcess) if (other !== pid) for (const each of kept) each.socket.destroy();
    return [clients, Number(pid)];
  }
}

/** Begins a request that goes on until end() is called; resolves when it runs. */
async function hold(server: Served, client: RawClient, name: string): Promise<() => Promise<string>> {
  client.send(get(`/${name}`));
  await server.waitFor(`/${name} runs in`);
  return async () => {
    writeFileSync(join(server.cwd, name), '');
    return (await client.readResponse()).body.toString();
  };
}

describe('a request behind many quick ones', () => {
  it('goes to another process, until that has work as well', async () => {
    const server = await serve(['who.mjs']);
    const [clients, pid] = await connectToOne(server, 16);
    const moved = new Set<RawClient>();
    const keepAsking = async (client: RawClient) => {
      for (let asked = 0; asked < 50 && moved.size < 2; asked += 1)
        if (!(await ask(client, '/work')).startsWith(`${pid} `)) moved.add(client);
    };
    await Promise.all(clients.map(keepAsking));
    expect(moved.size).toBeGreaterThanOrEqual(2);
  });
});

describe('a request behind one that goes on', () => {
  it.each([
    ['JavaScript', ['who.mjs']],
    ['Python', ['--python', venv, 'who.py']],
  ])('goes to another process with its connection: %s', async (_language, words) => {
    const server = await serve(words);
    const [slow, quick, pid] = await connectTwice(server);
    const end = await hold(server, slow, 'held');
    const [other, path] = (await ask(quick, '/quick')).split(' ');
    expect(path).toBe('/quick');
    expect(Number(other)).not.toBe(pid);
    // It is kept there.
    expect((await ask(quick, '/again')).startsWith(`${other} /again`)).toBe(true);
    expect((await end()).startsWith(`${pid} /held`)).toBe(true);
  });

  it('takes its body along, and what came behind it', async () => {
    const server = await serve(['who.mjs']);
    const [slow, quick, pid] = await connectTwice(server);
    const end = await hold(server, slow, 'held');
    quick.send(`${get('/first', 'Content-Length: 4\r\n', 'POST')}b\xf6dy${get('/second')}`);
    const first = (await quick.readResponse()).body.toString();
    expect(first).toMatch(/^\d+ \/first 127\.0\.0\.1 b\ufffddy$/);
    expect(Number.parseInt(first, 10)).not.toBe(pid);
    expect((await quick.readResponse()).body.toString()).toContain(' /second ');
    await end();
  });

  it('takes along what came of it in pieces', async () => {
    const server = await serve(['who.mjs']);
    const [slow, quick, pid] = await connectTwice(server);
    const end = await hold(server, slow, 'held');
    for (const piece of get('/pieces', 'Content-Length: 2\r\n', 'POST').match(/[\s\S]{1,20}/g) ?? []) {
      quick.send(piece);
      await sleep(5);
    }
    quick.send('ab');
    const answer = (await quick.readResponse()).body.toString();
    expect(answer).toContain(' /pieces 127.0.0.1 ab');
    expect(Number.parseInt(answer, 10)).not.toBe(pid);
    await end();
  });

  it('takes along what a proxy told of its client', async () => {
    const server = await serve(['--proxy-protocol', '--forwarded-allow-ips', '127.0.0.1', 'who.mjs']);
    const [slow, quick, pid] = await connectTwice(server, 'PROXY TCP4 203.0.113.7 192.0.2.1 54321 443\r\n');
    const end = await hold(server, slow, 'held');
    const answer = await ask(quick, '/quick');
    expect(answer).toContain(' /quick 203.0.113.7');
    expect(Number.parseInt(answer, 10)).not.toBe(pid);
    await end();
  });

  it('is logged once, and its connection is counted once', async () => {
    const server = await serve(['--access-log', 'access.log', '--admin', '127.0.0.1:0', 'who.mjs']);
    const [slow, quick] = await connectTwice(server);
    const end = await hold(server, slow, 'held');
    await ask(quick, '/quick');
    await end();
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
    const lines = readFileSync(join(server.cwd, 'access.log'), 'utf8').trim().split('\n');
    for (const path of ['/quick', '/held'])
      expect(lines.filter((line) => line.includes(`GET ${path} `))).toHaveLength(1);
  });

  it('waits where all processes are busy, and leaves as soon as one is not', async () => {
    const server = await serve(['who.mjs']);
    const [slow, quick, pid] = await connectTwice(server);
    const end = await hold(server, slow, 'held');
    const elsewhere = new RawClient(portOf(server));
    const endElsewhere = await hold(server, elsewhere, 'held-too');
    quick.send(get('/quick'));
    await endElsewhere();
    const answer = (await quick.readResponse()).body.toString();
    expect(Number.parseInt(answer, 10)).not.toBe(pid);
    expect(existsSync(join(server.cwd, 'held'))).toBe(false);
    await end();
  });

  it('is not lost when the process ends that it went to, or the one that it came from', async () => {
    const server = await serve(['who.mjs']);
    const counts = { answered: 0, lost: 0 };
    let stopping = false;
    const client = async (index: number) => {
      while (!stopping) {
        const connection = new RawClient(portOf(server));
        try {
          for (let asked = 0; asked < 50 && !stopping; asked += 1) {
            const path = index === 0 ? `/held-${counts.answered}` : '/quick';
            connection.send(get(path));
            if (index === 0) await endAfterAWhile(server, path);
            await connection.readResponse();
            counts.answered += 1;
          }
        } catch {
          counts.lost += 1;
        }
        connection.socket.destroy();
      }
    };
    const clients = Array.from({ length: 8 }, (_, index) => client(index));
    const pids = new Set<number>();
    for (let round = 0; round < 4; round += 1) {
      const before = counts.answered;
      while (counts.answered < before + 200) pids.add(await whoAnswers(server));
      const [victim = 0] = [...pids];
      pids.delete(victim);
      process.kill(victim, 'SIGKILL');
    }
    stopping = true;
    await Promise.all(clients);
    // Each end may take what ran, and who was connected there.
    expect(counts.lost).toBeLessThanOrEqual(4 * clients.length);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  }, 30_000);

  it('is not lost amid reloads', async () => {
    const server = await serve(['who.mjs']);
    const counts = { answered: 0, failures: [] as string[] };
    let stopping = false;
    const client = async (index: number) => {
      while (!stopping) {
        const connection = new RawClient(portOf(server));
        let asked = 0;
        for (let isKept = true; isKept && !stopping; asked += 1) {
          const path = index === 0 ? `/held-${counts.answered}` : '/quick';
          connection.send(get(path));
          if (index === 0) await endAfterAWhile(server, path);
          try {
            const { status, headers } = await connection.readResponse();
            if (status !== 200) counts.failures.push(`${status}`);
            isKept = headers.connection !== 'close';
            counts.answered += 1;
          } catch (error) {
            counts.failures.push(`${asked} ${String(error)}`);
            isKept = false;
          }
        }
        connection.socket.destroy();
      }
    };
    const clients = Array.from({ length: 6 }, (_, index) => client(index));
    for (let round = 0; round < 3; round += 1) {
      const before = counts.answered;
      while (counts.answered < before + 100) await whoAnswers(server);
      const pid = await whoAnswers(server);
      server.child.kill('SIGHUP');
      while ((await whoAnswers(server)) === pid);
    }
    stopping = true;
    await Promise.all(clients);
    expect(counts.failures).toEqual([]);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
  }, 30_000);
});

/** What it asked for takes about so long. */
async function endAfterAWhile({ cwd }: Served, path: string): Promise<void> {
  await sleep(40);
  writeFileSync(join(cwd, path), '');
}

async function whoAnswers(server: Running): Promise<number> {
  const client = new RawClient(portOf(server));
  const answer = await ask(client, '/who').catch(() => '0');
  client.socket.destroy();
  return Number.parseInt(answer, 10);
}
