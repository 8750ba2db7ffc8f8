// What nobody caught, in a process of which a thread is inside Python.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';
import { venv } from './support/server.js';

const APPLICATION = `import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/sleeps":
        os.write(2, b"it sleeps\\n")
        time.sleep(3600)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
`;

const CONFIG = `export default {
  application: 'app.py',
  threads: 2,
  pidfile: 'lido.pid',
  onRequestEnd: ({ url }) => {
    if (url === '/throws') setImmediate(() => { throw new Error('as it should'); });
  },
};
`;

async function serveSleeping(...words: readonly string[]) {
  const cwd = makeFolder({ 'app.py': APPLICATION, 'lido.config.mjs': CONFIG });
  const server = await serveLido(['--python', venv, ...words], { cwd });
  const lost = fetch(`${server.url}/sleeps`).catch(() => null);
  await server.waitFor('it sleeps');
  const ask = async (path: string) => await (await fetch(`${server.url}${path}`)).text();
  return { cwd, server, lost, ask };
}

it('ends a process alone with status 1, and takes its pidfile away', async () => {
  const { cwd, server, lost, ask } = await serveSleeping('--no-supervise');
  await ask('/throws');
  expect(await server.ended).toMatchObject({ code: 1 });
  expect(server.stderr()).toContain('nobody caught this, and the process ends: Error: as it should');
  expect(existsSync(join(cwd, 'lido.pid'))).toBe(false);
  expect(await lost).toBeNull();
});

it('has a process replaced by its supervisor', async () => {
  const { server, lost, ask } = await serveSleeping();
  const first = await ask('/throws');
  expect(await lost).toBeNull();
  expect(await ask('/')).not.toBe(first);
  expect(server.stderr()).toContain('nobody caught this');
  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
});
