// ASGI: what clients can make a process hold, and run, has a bound in number as well as in bytes.
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { root, startServer, venv } from './support/server.js';

const file = `${root}test/apps/asgi_applications.py`;

describe('tasks that go on behind their answers', () => {
  const settings = {
    application: `${file}:piles_up`,
    python: venv,
    concurrency: 3,
    backlog: 2,
    gracefulTimeout: 1,
  };

  async function ask(port: number, path: string): Promise<string> {
    const { status, body } = await exchange(port, get(path));
    return `${status} ${body.toString()}`;
  }

  it('keep the places of their requests once there are as many as places', async () => {
    const { port, lines } = await startServer(settings);
    const kept = new RawClient(port);
    // Three beside the places, then three that keep theirs: all are answered.
    for (let index = 0; index < 6; index += 1) {
      kept.send(get(index === 5 ? '/raises' : '/'));
      const { status, headers, body } = await kept.readResponse();
      expect([status, headers['content-length'], body.toString()]).toEqual([200, '8', 'answered']);
    }
    expect(lines.map(({ msg }) => msg)).toContain(
      "3 tasks go on behind their answers: each further one keeps its request's place",
    );
    const waiting = [new RawClient(port), new RawClient(port)];
    for (const client of waiting) client.send(get('/count'));
    await expect.poll(async () => (await ask(port, '/')).slice(0, 3)).toBe('503');
    expect(lines.filter(({ msg }) => msg.includes('go on behind'))).toHaveLength(1);
  });

  it('give the places back when they are over, however they end', async () => {
    const { port, findLine } = await startServer({ ...settings, concurrency: 2 });
    for (const path of ['/', '/', '/raises']) expect(await ask(port, path)).toBe('200 answered');
    expect(await ask(port, '/count')).toBe('200 3');
    expect(await ask(port, '/release')).toBe('200 released');
    await findLine(({ msg }) => msg.includes('behind the answer'));
    await expect.poll(() => ask(port, '/count')).toBe('200 0');
    // Both places are free again.
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask(port, '/')));
    expect(answers).toEqual(Array.from({ length: 4 }, () => '200 answered'));
  });
});

it('sends hundreds of thousands of single bytes, to clients that take them late as well', async () => {
  const { port } = await startServer({ application: `${file}:drips`, python: venv });
  const clients = Array.from({ length: 2 }, () => new RawClient(port));
  for (const client of clients) {
    client.socket.pause();
    client.send(get('/300000'));
  }
  expect((await exchange(port, get('/3'))).body.toString()).toBe('012');
  const bodies = clients.map(async (client) => {
    client.socket.resume();
    return (await client.readResponse()).body.toString();
  });
  expect(await Promise.all(bodies)).toEqual(Array.from({ length: 2 }, () => '0123456789'.repeat(30_000)));
});

/** Single bytes, without a turn for anybody else, save where there is no room for the next: then `waits` is made. */
const OVERFLOWS = `import asyncio, os

async def application(scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'begun', 'more_body': True})
    asyncio.get_running_loop().call_soon(open, os.path.dirname(__file__) + '/waits', 'w')
    for number in range(200000):
        await send({'type': 'http.response.body', 'body': b'.', 'more_body': True})
    await send({'type': 'http.response.body'})
`;

it('waits for room where so much is sent that the main thread does not come to it', async () => {
  const folder = makeFolder({ 'overflows.py': OVERFLOWS });
  const { port, lines } = await startServer({ application: `${folder}/overflows.py`, python: venv });
  const client = new RawClient(port);
  client.send(get('/'));
  await client.readUntil('begun');
  // This is the server's main thread, too: it reads nothing meanwhile.
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let count = 0; count < 1000 && !existsSync(`${folder}/waits`); count += 1)
    Atomics.wait(pause, 0, 0, 10);
  expect((await client.readUntil('0\r\n\r\n')).split('.')).toHaveLength(200_001);
  expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
});
