// What clients see while a server ends: nothing.
import { describe, expect, it } from 'vitest';
import { startClients } from './support/clients.js';
import { makeFolder, serveLido } from './support/command.js';
import { get, RawClient } from './support/raw-client.js';

const HELLO = `export function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['hello'];
}`;

const ROUNDS = 3;

describe('SIGTERM under load', () => {
  it.each([
    ['kept', '1'],
    ['fresh', '1'],
    ['kept', '2'],
    ['fresh', '2'],
  ])('loses no request on %s connections to %s process', async (kind, processes) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const words = ['--processes', processes, '--threads', '1', 'hello.mjs'];
      const server = await serveLido(words, { cwd: makeFolder({ 'hello.mjs': HELLO }) });
      const port = Number(new URL(server.url).port);
      const clients = startClients({ port, count: 16, isKept: kind === 'kept' });
      await clients.answerMore(500);
      server.child.kill('SIGTERM');
      const { code } = await server.ended;
      await clients.stop();
      expect([code, clients.lost]).toEqual([0, []]);
    }
  });

  it('answers a request that comes on an idle connection meanwhile, and says that it is the last', async () => {
    const server = await serveLido(['--threads', '1', 'hello.mjs'], {
      cwd: makeFolder({ 'hello.mjs': HELLO }),
    });
    const client = new RawClient(Number(new URL(server.url).port));
    client.send(get('/'));
    expect((await client.readResponse()).headers.connection).not.toBe('close');
    server.child.kill('SIGTERM');
    await server.waitFor('SIGTERM: finishing what runs');
    client.send(get('/'));
    const answer = await client.readResponse();
    expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
    expect(await client.closes()).toBe(true);
    expect((await server.ended).code).toBe(0);
  });
});

it('a signal of log rotation and of deployment scripts ends nothing, and opens no inspector', async () => {
  const server = await serveLido(['--threads', '1', 'hello.mjs'], {
    cwd: makeFolder({ 'hello.mjs': HELLO }),
  });
  server.child.kill('SIGUSR1');
  server.child.kill('SIGHUP');
  await server.waitFor('the application is loaded anew');
  expect(await (await fetch(server.url)).text()).toBe('hello');
  server.child.kill('SIGTERM');
  const { code, stderr } = await server.ended;
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('Debugger')]);
});
