// SIGUSR2: the command is started anew, from what Node and Lido are by then, and takes over without a client's seeing it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Clients, startClients } from './support/clients.js';
import { makeFolder, type Running, runLido, serveLido } from './support/command.js';
import { venv } from './support/server.js';

const version = (text: string) => `import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('${text} %d %d' % (os.getpid(), os.getppid())).encode()]
`;

const portOf = ({ url }: Running) => Number(new URL(url).port);
const ask = async ({ url }: Running) => (await fetch(url, { headers: { Connection: 'close' } })).text();

function askUnix(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

async function serveSite(...words: readonly string[]) {
  const cwd = makeFolder({ 'served.py': version('one') });
  const own = ['--pidfile', 'lido.pid', '--control-socket', 'control.sock', '--python', venv];
  const server = await serveLido([...own, ...words, 'served.py'], { cwd });
  const pid = () => Number.parseInt(readFileSync(join(cwd, 'lido.pid'), 'utf8'), 10);
  // Those that took over are no children of this test.
  onTestFinished(() => {
    for (const [, successor] of server.stderr().matchAll(/process (\d+) takes over/g))
      try {
        process.kill(Number(successor), 'SIGKILL');
      } catch {}
  });
  return { cwd, server, pid, write: (text: string) => writeFileSync(join(cwd, 'served.py'), text) };
}

function startBoth(server: Running): readonly Clients[] {
  return [true, false].map((isKept) => startClients({ port: portOf(server), count: 4, isKept }));
}

async function stopBoth(clients: readonly Clients[]): Promise<void> {
  for (const each of clients) await each.stop();
  for (const each of clients) expect([each.lost, each.refused]).toEqual([[], 0]);
}

/** Resolves when the first process has ended, though others go on with its standard error. */
const firstEnds = ({ child }: Running) =>
  new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once('exit', (code, signal) => resolve(signal ?? code));
  });

/** Tells the one that took over to end, and resolves when all have. */
async function end(server: Running, pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  await server.ended;
}

describe('SIGUSR2', () => {
  it('is told of again while the command that it starts has not begun', async () => {
    const isSuccessor = 'process.env.LIDO_TAKEOVER !== undefined';
    const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 7000)';
    const hello =
      "export const application = (environ, start) => { start('200 OK', []); return ['hello']; };";
    const cwd = makeFolder({ 'hello.mjs': hello, 'first.cjs': `if (${isSuccessor}) ${wait}` });
    const server = await serveLido(['--supervise', '--pidfile', 'lido.pid', 'hello.mjs'], {
      cwd,
      env: { NODE_OPTIONS: '--require ./first.cjs' },
    });
    const ended = firstEnds(server);
    server.child.kill('SIGUSR2');
    await ended;
    expect(server.stderr()).toMatch(
      /process (\d+) has not come to Lido's code for 5 s: [^\n]*\n(.*\n)*.*process \1 takes over/,
    );
    await end(server, Number(readFileSync(join(cwd, 'lido.pid'), 'utf8')));
  }, 30_000);

  it.each([
    ['one process', []],
    ['two processes', ['--processes', '2']],
  ])('lets the command anew take the sockets over from %s, and no client sees it', async (_name, words) => {
    const { cwd, server, pid, write } = await serveSite('--admin', 'unix:admin.sock', ...words);
    const clients = startBoth(server);
    await Promise.all(clients.map((each) => each.answerMore(50)));
    const first = pid();
    expect(first).toBe(server.child.pid);
    write(version('two'));
    const ended = firstEnds(server);
    server.child.kill('SIGUSR2');
    expect(await ended).toBe(0);
    await Promise.all(clients.map((each) => each.answerMore(50)));
    await stopBoth(clients);
    const [text, , supervisor] = (await ask(server)).split(' ');
    expect([text, Number(supervisor)]).toEqual(['two', pid()]);
    expect(pid()).not.toBe(first);
    // What only one of them can have is the new one's.
    expect(await askUnix(join(cwd, 'admin.sock'))).toContain('<!doctype html>');
    write(version('three'));
    const reloaded = await runLido(['reload', '--control-socket', 'control.sock'], { cwd });
    expect(reloaded.code).toBe(0);
    expect(await ask(server)).toMatch(/^three /);
    // And once more, from a process that took over itself.
    const second = pid();
    process.kill(second, 'SIGUSR2');
    while (pid() === second) await ask(server);
    await end(server, pid());
    expect(existsSync(join(cwd, 'lido.pid'))).toBe(false);
  });

  it('leaves a Unix socket where it is', async () => {
    const { cwd, server, pid } = await serveSite('--bind', 'unix:lido.sock');
    const path = join(cwd, 'lido.sock');
    const first = pid();
    const ended = firstEnds(server);
    server.child.kill('SIGUSR2');
    while (pid() === first) expect(await askUnix(path)).toMatch(/^one /);
    expect(await ended).toBe(0);
    expect(await askUnix(path)).toMatch(new RegExp(`^one \\d+ ${pid()}$`));
    await end(server, pid());
    expect(existsSync(path)).toBe(false);
  });

  it('changes nothing where the new one cannot serve', async () => {
    const { server, pid, write } = await serveSite();
    const before = await ask(server);
    write(`raise RuntimeError('not this one')\n`);
    server.child.kill('SIGUSR2');
    await server.waitFor(
      'SIGUSR2: this process serves on: the command that was to take over ended with status 3',
    );
    expect(server.stderr()).toContain('RuntimeError: not this one');
    expect(await ask(server)).toBe(before);
    expect(pid()).toBe(server.child.pid);
    write(version('mended'));
    const ended = firstEnds(server);
    server.child.kill('SIGUSR2');
    expect(await ended).toBe(0);
    expect(await ask(server)).toMatch(/^mended /);
    await end(server, pid());
  });

  it('that meets SIGTERM ends both', async () => {
    const { server, write } = await serveSite();
    write(`import time\n${version('slow')}\nopen('imports', 'w').close()\ntime.sleep(60)\n`);
    server.child.kill('SIGUSR2');
    await server.waitFor('SIGUSR2: starting the command anew');
    server.child.kill('SIGUSR2');
    await server.waitFor('SIGUSR2: the command is being started anew already');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0 });
    await server.waitFor('SIGUSR2: none follows, for this process is ending');
    expect(server.stderr()).not.toContain('this process serves on');
  });

  it('is refused without a supervisor', async () => {
    const { server } = await serveSite('--no-supervise');
    server.child.kill('SIGUSR2');
    await server.waitFor('SIGUSR2: the command is exchanged under a supervisor only');
    expect(await ask(server)).toMatch(/^one /);
  });
});
