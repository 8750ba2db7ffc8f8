// A process may have so many descriptors: who comes when they run out is served or told, and so is the operator.
import { expect, it, onTestFinished, vi } from 'vitest';
import { makeFolder, type Running, serveLido } from './support/command.js';
import { get, RawClient } from './support/raw-client.js';

const HELLO = `export function application(environ, start) { start('200 OK', []); return ['hello']; }`;
/** A client in the midst of a request is not idle. */
const HALF_A_HEAD = 'GET / HTTP/1.1\r\nHost: lido';
const LIMIT = 64;
const IN_USE = '56 of the 64 descriptors that this process may have are in use';

async function serveWithFew(words: readonly string[] = [], application = HELLO): Promise<Running> {
  const place = { cwd: makeFolder({ 'hello.mjs': application }), descriptors: LIMIT };
  const server = await serveLido(['--threads', '1', ...words, 'hello.mjs'], place);
  onTestFinished(async () => {
    server.child.kill('SIGTERM');
    await server.ended;
  });
  return server;
}

const portOf = ({ url }: Running) => Number(new URL(url).port);

it.each([
  ['one process', []],
  ['two processes', ['--processes', '2']],
])(
  'ends idle connections of %s for new ones, and says what there is to do',
  async (_name, words) => {
    const server = await serveWithFew(words);
    let refused = 0;
    // Whoever was idle for less than a second may be about to ask: until then some are refused.
    for (let served = 0; served < 2 * LIMIT; ) {
      const client = new RawClient(portOf(server));
      client.send(get('/'));
      const { status } = await client.readResponse();
      if (status === 503) refused += 1;
      else served += 1;
    }
    expect(refused).toBeGreaterThan(0);
    expect(server.stderr()).toMatch(
      new RegExp(`LIDO_NO_DESCRIPTORS (a client was|\\d+ clients were) idle and ended for others: ${IN_USE}`),
    );
  },
  30_000,
);

/** Lets clients come that are amid a request until one is not let in: those that were, and that one. */
async function fill(server: Running): Promise<readonly [readonly RawClient[], RawClient]> {
  // Each is known to have come before the next one does, and the first that is answered was one too many.
  let answered: RawClient | null = null;
  const clients: RawClient[] = [];
  while (answered === null) {
    const client = new RawClient(portOf(server));
    client.send(HALF_A_HEAD);
    client.socket.once('data', () => {
      answered ??= client;
    });
    await new Promise((resolve) => client.socket.once('connect', resolve));
    clients.push(client);
  }
  return [clients, answered];
}

it('answers with 503 where nobody is idle, and says so', async () => {
  const server = await serveWithFew();
  const [clients, answered] = await fill(server);
  const { status, headers } = await answered.readResponse();
  expect([status, headers.connection, headers['retry-after']]).toEqual([503, 'close', '1']);
  await server.waitFor(`LIDO_NO_DESCRIPTORS a client was not let in: ${IN_USE}`);
  expect(server.stderr()).toContain('raise ulimit -n, or set --max-connections');
  // Whoever was let in is served.
  const [first] = clients;
  first?.send('.test\r\n\r\n');
  expect((await first?.readResponse())?.status).toBe(200);
});

/** Takes all descriptors that there are, and gives them back. */
const LEAKS = `import { closeSync, openSync } from 'node:fs';
  const held = [];
  export function application({ PATH_INFO }, start) {
    if (PATH_INFO.startsWith('/leak')) try { for (;;) held.push(openSync('/dev/null')); } catch {}
    if (PATH_INFO === '/leak-but-one') closeSync(held.pop());
    if (PATH_INFO === '/mend') for (const fd of held.splice(0)) closeSync(fd);
    start('200 OK', []);
    return [String(process.pid)];
  }`;

async function ask(client: RawClient, path: string): Promise<string> {
  client.send(get(path));
  return (await client.readResponse()).body.toString();
}

it('goes on where a process has no descriptor left to learn by what memory it takes', async () => {
  const words = ['--processes', '2', '--max-memory', '8000000000', '--admin', '127.0.0.1:0'];
  const server = await serveWithFew(words, LEAKS);
  const admin = /admin at (\S+)/.exec(server.stderr())?.[1];
  const look = async () => (await (await fetch(`${admin}/stats`)).json()) as { readonly now: number };
  const leaking = new RawClient(portOf(server));
  const pid = await ask(leaking, '/leak');
  // A process tells of its memory with each look, and looks ten times a second whether that is too much.
  const { now } = await look();
  await vi.waitUntil(async () => (await look()).now > now + 500, { timeout: 10_000 });
  expect(await ask(leaking, '/mend')).toBe(pid);
});

it('lets nobody in who has the last descriptor, by which it would be read how many there may be', async () => {
  const server = await serveWithFew([], LEAKS);
  const began = performance.now();
  const leaking = new RawClient(portOf(server));
  await ask(leaking, '/leak-but-one');
  leaking.send(HALF_A_HEAD);
  // It is read again once a second at most.
  await vi.waitUntil(() => performance.now() - began > 1000, { timeout: 10_000 });
  const client = new RawClient(portOf(server));
  client.send(get('/'));
  expect((await client.readResponse()).status).toBe(503);
});

it('gives a connection to another process where one has no descriptor left for it, until that has some again', async () => {
  const server = await serveWithFew(['--processes', '2'], LEAKS);
  const leaking = new RawClient(portOf(server));
  const pid = await ask(leaking, '/leak');
  for (let count = 0; count < 6; count += 1)
    expect(await ask(new RawClient(portOf(server)), '/')).not.toBe(pid);
  expect(server.stderr()).toContain('could not be given to a process that has no descriptor left');
  await ask(leaking, '/mend');
  // It is tried again after a while.
  const tries = { timeout: 20_000, interval: 100 };
  await vi.waitUntil(async () => {
    const client = new RawClient(portOf(server));
    const answer = await ask(client, '/');
    client.socket.destroy();
    return answer === pid;
  }, tries);
}, 30_000);

it('closes a connection that no process has a descriptor for', async () => {
  const server = await serveWithFew(['--processes', '2'], LEAKS);
  const met = new Map<string, RawClient>();
  while (met.size < 2) {
    const client = new RawClient(portOf(server));
    met.set(await ask(client, '/'), client);
  }
  for (const client of met.values()) await ask(client, '/leak');
  const refused = new RawClient(portOf(server));
  expect(await refused.closes()).toBe(true);
  for (const client of met.values()) await ask(client, '/mend');
  expect(met.has(await ask(new RawClient(portOf(server)), '/'))).toBe(true);
});
