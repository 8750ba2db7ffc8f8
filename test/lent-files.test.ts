// Files of bodies that a worker has open, where it is given up before it has come back.
import { expect, it } from 'vitest';
import { exchange } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

const SIZE = 300_000;

function upload(path: string): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: lido.test\r\nContent-Length: ${SIZE}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(SIZE, 'x')]);
}

it('are counted until that worker is done: the disk has no room for others meanwhile', async () => {
  const { port } = await startServer({
    ...fixture('python', 'misbehaves'),
    timeout: 0.3,
    bufferMemory: 1000,
    bufferDisk: SIZE * 1.5,
  });
  // C code is not interrupted: a second behind the time-out the worker is left alone, and another takes its place.
  expect((await exchange(port, upload('/sleep?4'))).status).toBe(504);
  expect((await exchange(port, upload('/sleep?0'))).status).toBe(503);
  await expect
    .poll(async () => (await exchange(port, upload('/sleep?0'))).status, { timeout: 10_000 })
    .toBe(200);
});
