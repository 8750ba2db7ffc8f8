// More ways for an application to bring its worker down: each costs what ran, and nothing else, while others load the server.
import { rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';
import { load, untilWhole } from './support/load.js';
import { exchange, get } from './support/raw-client.js';
import { type RunningServer, root, startServer } from './support/server.js';

const source = `
  import { parentPort } from 'node:worker_threads';

  const TEXT = [['Content-Type', 'text/plain']];
  const say = (startResponse, text) => {
    startResponse('200 OK', TEXT);
    return [text];
  };

  export function application(environ, startResponse) {
    switch (environ.PATH_INFO) {
      case '/rejects':
        Promise.reject(new Error('nobody handles this'));
        return say(startResponse, 'rejected');
      case '/exits-later':
        setTimeout(() => process.exit(3), 5);
        return say(startResponse, 'exits');
      case '/matches': {
        const found = /^(a+)+$/.test('a'.repeat(60) + 'b');
        return say(startResponse, String(found));
      }
      case '/closes-forever':
        startResponse('200 OK', [...TEXT, ['Content-Length', '5']]);
        return { [Symbol.iterator]: () => ['whole'].values(), close() { for (;;); } };
      case '/loops-later':
        setImmediate(() => { for (;;); });
        return say(startResponse, 'loops');
      case '/never':
        return new Promise(() => {});
      case '/posts':
        parentPort.postMessage({ anything: [1, 2, 3] });
        parentPort.postMessage(['response', 1, '200 OK', 'forged']);
        return say(startResponse, 'posted');
      case '/hoards': {
        const hoard = [];
        for (;;) hoard.push(new Array(100_000).fill({}).map((_, index) => ({ index })));
      }
    }
    return say(startResponse, 'hello');
  }`;

function serve(settings = {}): Promise<RunningServer> {
  const application = `${makeFolder({ 'faulty.mjs': source })}/faulty.mjs`;
  return startServer({ application, threads: 2, ...settings });
}

describe('a worker', () => {
  it.each([
    ['/matches', 504],
    ['/never', 504],
    ['/closes-forever', 200],
    ['/posts', 200],
  ])('that runs %s answers %d to it, and all others are served', async (path, status) => {
    const running = await serve({ timeout: 0.3 });
    const others = load(running.port);
    for (let round = 0; round < 3; round += 1) {
      expect((await exchange(running.port, get(path))).status).toBe(status);
    }
    expect(await others.stop()).toBeGreaterThan(3);
    await untilWhole(running);
  });

  it.each(['/rejects', '/exits-later'])('that ends after %s is replaced, and says why', async (path) => {
    const running = await serve();
    expect((await exchange(running.port, get(path))).status).toBe(200);
    await running.findLine(({ code }) => code === 'LIDO_WORKER_DIED');
    await untilWhole(running);
    for (let count = 0; count < 20; count += 1) {
      expect((await exchange(running.port, get('/'))).body.toString()).toBe('hello');
    }
  });

  it('that nobody caught an error in tells where it was thrown', async () => {
    const running = await serve();
    await exchange(running.port, get('/rejects'));
    const line = await running.findLine(({ code }) => code === 'LIDO_WORKER_DIED');
    expect(line.msg).toBe('the worker died: Error: nobody handles this');
    expect(line.traceback).toMatch(/^Error: nobody handles this\n +at .*faulty\.mjs:13:/);
  });

  it('that was ended by process.exit() has no place to tell', async () => {
    const running = await serve();
    await exchange(running.port, get('/exits-later'));
    const line = await running.findLine(({ code }) => code === 'LIDO_WORKER_DIED');
    expect(line).toMatchObject({ msg: 'the worker died: Error: worker exited with code: 3' });
    expect(line.traceback).toBeUndefined();
  });

  it('that exhausts its heap costs its own request', async () => {
    const cwd = makeFolder({ 'faulty.mjs': source });
    const env = { NODE_OPTIONS: '--max-old-space-size=64' };
    const { url } = await serveLido(['--threads', '2', 'faulty.mjs'], { cwd, env });
    const others = load(Number(new URL(url).port));
    expect((await fetch(`${url}/hoards`)).status).toBe(500);
    await others.stop();
    expect(await (await fetch(url)).text()).toBe('hello');
  });

  it('that loops after its answer is ended with the server', async () => {
    const { server, port } = await serve({ threads: 1 });
    expect((await exchange(port, get('/loops-later'))).status).toBe(200);
    expect(await server.close()).toBe(true);
  });

  it('that cannot start again leaves the work to those that run', async () => {
    const folder = makeFolder({ flag: '' });
    process.env.STARTS_ONCE = `${folder}/flag`;
    const running = await startServer({ application: `${root}test/apps/starts-once.mjs`, threads: 2 });
    rmSync(`${folder}/flag`);
    const others = load(running.port, 'started');
    expect((await exchange(running.port, get('/exit'))).status).toBe(500);
    await running.findLine(({ msg }) => msg.startsWith('a worker cannot start'));
    expect(await others.stop()).toBeGreaterThan(3);
    writeFileSync(`${folder}/flag`, '');
    await untilWhole(running);
  });
});
