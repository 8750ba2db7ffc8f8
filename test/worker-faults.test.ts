// More ways for an application to bring its worker down: each costs what ran, and nothing else, while others load the server.
import { describe, expect, it } from 'vitest';
import { makeFolder, serveLido } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { type RunningServer, startServer } from './support/server.js';

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

/** Requests that come all the while; resolves with how many there were, all of them answered as they should be. */
function load(port: number): { stop(): Promise<number> } {
  let over = false;
  let count = 0;
  const client = async () => {
    while (!over) {
      const { status, body } = await exchange(port, get('/'));
      expect([status, body.toString()]).toEqual([200, 'hello']);
      count += 1;
    }
  };
  const clients = Array.from({ length: 4 }, client);
  return {
    stop: async () => {
      over = true;
      await Promise.all(clients);
      return count;
    },
  };
}

/** Resolves once as many workers are there as at the start. */
async function untilWhole({ server }: RunningServer): Promise<void> {
  while (server.stats()[0]?.workers !== 2) await new Promise(setImmediate);
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
    await running.findLine(({ code }) => code === 'LIDO_503');
    await untilWhole(running);
    for (let count = 0; count < 20; count += 1) {
      expect((await exchange(running.port, get('/'))).body.toString()).toBe('hello');
    }
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
});
