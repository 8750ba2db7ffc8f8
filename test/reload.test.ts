// reload(): the application's code anew, without a request lost.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

/** Answers with its version after some work, so that requests run and wait whenever a reload comes. */
const version = (number: number) => `
  export function application(environ, startResponse) {
    for (const end = performance.now() + Number(environ.QUERY_STRING); performance.now() < end; );
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return ['${number}'];
  }`;

async function serveVersions(settings: UserSettings = {}) {
  const folder = makeFolder({ 'versions.mjs': version(1) });
  const running = await startServer({ application: `${folder}/versions.mjs`, threads: 2, ...settings });
  const write = (source: string) => writeFileSync(join(folder, 'versions.mjs'), source);
  const ask = async (ms = 0) => (await exchange(running.port, get(`/?${ms}`))).body.toString();
  return { ...running, folder, write, ask };
}

describe('reload', () => {
  it('serves new code, and loses no request under load', async () => {
    const { server, write, ask } = await serveVersions();
    const answers: string[] = [];
    let over = false;
    const client = async () => {
      while (!over) answers.push(await ask(2));
    };
    const clients = Array.from({ length: 8 }, client);
    for (let number = 2; number <= 4; number += 1) {
      write(version(number));
      await server.reload();
      expect(await ask()).toBe(String(number));
    }
    over = true;
    await Promise.all(clients);
    expect(new Set(answers)).toEqual(new Set(['1', '2', '3', '4']));
    expect(server.stats()).toMatchObject([{ workers: 2, busy: 0 }]);
  });

  it('lets a request that runs finish on the old code', async () => {
    const { server, write, ask } = await serveVersions();
    const slow = ask(300);
    while (server.stats()[0]?.busy === 0) await new Promise(setImmediate);
    write(version(2));
    const reloaded = server.reload();
    expect(await slow).toBe('1');
    await reloaded;
    expect(await ask()).toBe('2');
  });

  it('does not keep the server from its end where the new code does not come up', async () => {
    const { server, folder, write, ask } = await serveVersions({ gracefulTimeout: 1 });
    write(`
      import { existsSync } from 'node:fs';
      import { setTimeout as wait } from 'node:timers/promises';
      while (!existsSync(new URL('./go-on', import.meta.url))) await wait(10);
      export const application = () => [];`);
    const reloaded = server.reload();
    const failure = expect(reloaded).rejects.toMatchObject({ code: 'LIDO_SHUTTING_DOWN' });
    expect(await ask()).toBe('1');
    // Its threads are left to the end of the process, or end once it has come up.
    expect(await server.close()).toBe(false);
    writeFileSync(`${folder}/go-on`, '');
    await failure;
  });

  it('goes on with the old code where the new one fails, and says why', async () => {
    const { server, write, ask } = await serveVersions();
    write('throw new Error("not this one");');
    const failure = expect(server.reload()).rejects;
    await failure.toMatchObject({
      code: 'LIDO_IMPORT_FAILED',
      traceback: expect.stringContaining('not this one'),
    });
    expect(await ask()).toBe('1');
    write(version(2));
    await server.reload();
    expect(await ask()).toBe('2');
  });

  it('comes one after the other, and before the end', async () => {
    const { server, write, ask } = await serveVersions();
    write(version(2));
    await Promise.all([server.reload(), server.reload()]);
    expect(await ask()).toBe('2');
    const reload = server.reload();
    await new Promise(setImmediate);
    await server.close();
    await reload;
    await expect(server.reload()).rejects.toMatchObject({ code: 'LIDO_SHUTTING_DOWN' });
  });

  it('refuses Python, whose modules last as long as the process, and goes on', async () => {
    const { server, port } = await startServer(fixture('python', 'hello'));
    await expect(server.reload()).rejects.toMatchObject({ code: 'LIDO_PYTHON_NOT_RELOADABLE' });
    expect((await exchange(port, get('/'))).status).toBe(200);
  });
});
