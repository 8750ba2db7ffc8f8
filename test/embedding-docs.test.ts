// Every program of docs/embedding.md, run as it stands there on a port of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { root, venv } from './support/server.js';

const text = readFileSync(`${root}docs/embedding.md`, 'utf8');
/** The first block of code of each section. */
const programs = text
  .split(/^## /m)
  .slice(1)
  .map((section) => [section.split('\n', 1)[0], /^```js\n(.*?)^```$/ms.exec(section)?.[1] ?? ''] as const);

/** Where each says hello. */
const paths: Record<string, readonly string[]> = {
  Fastify: ['/', '/legacy/', '/render/'],
  'node:http': ['/'],
  Express: ['/', '/legacy/'],
  'A server of its own': ['/'],
};

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function fetchOnceThere(url: string): Promise<Response> {
  for (;;) {
    try {
      return await fetch(url);
    } catch {
      await new Promise(setImmediate);
    }
  }
}

it('are the programs that are tried here', () => {
  expect(programs.map(([title]) => title)).toEqual(Object.keys(paths));
});

describe.each(programs)('%s', (title = '', code) => {
  it('serves', async () => {
    const port = await findFreePort();
    const words = ['--input-type=module', '--eval', code.replace('3000', String(port))];
    const env = { ...process.env, LIDO_PYTHON: venv };
    const child = spawn(process.execPath, words, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    for (const path of paths[title] ?? []) {
      const response = await fetchOnceThere(`http://localhost:${port}${path}`);
      expect([path, response.status]).toEqual([path, 200]);
    }
  });
});
