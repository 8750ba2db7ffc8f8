// examples/fastify-service.mjs, run as its first lines say: three things in one process, none of which holds up another.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { root, venv } from './support/server.js';

async function startExample() {
  const env = { ...process.env, PORT: '0', PYTHON: venv };
  const child = spawn(process.execPath, ['examples/fastify-service.mjs'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const url = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (text) => {
      output += String(text);
      const found = /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`it ended: ${output}`)));
  });
  return { child, url };
}

it('serves its own routes and Flask while /render is busy on every thread, then ends by itself', async () => {
  const { child, url } = await startExample();
  const picture = `${url}/render/mandelbrot.png?x=-0.65&y=0&scale=0.003&width=4096&height=4096`;
  // Both threads have begun, and neither can be done before it is read: each picture is larger than what buffers hold.
  const leaving = new AbortController();
  const { signal } = leaving;
  const renders = await Promise.all([fetch(picture, { signal }), fetch(picture, { signal })]);
  expect(renders.map(({ status }) => status)).toEqual([200, 200]);
  for (let count = 0; count < 20; count += 1) {
    expect(await (await fetch(url)).json()).toEqual({ pools: ['/legacy/', '/render/'] });
    expect(await (await fetch(`${url}/legacy/count/2`)).text()).toBe('1\n2\n');
  }
  const page = await (await fetch(`${url}/legacy/`)).text();
  expect(page).toContain('action="/legacy/sign-in"');
  leaving.abort();
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});
