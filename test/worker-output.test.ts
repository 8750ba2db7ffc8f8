// What takes the place of a worker thread's standard streams, as Node.js itself sees it.
import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished } from 'vitest';

const output = pathToFileURL(resolve('dist/workers/javascript/output.js')).href;
const TAKES_OUTPUT = `
  const { parentPort } = require('node:worker_threads');
  import(${JSON.stringify(output)}).then(({ takeOutput }) => {
    takeOutput({ isCaptured: false, logFd: -1 }, {});
    parentPort.on('message', (number) => parentPort.postMessage(number)).postMessage('taken');
  });`;

it('is found by Node.js, which asks the streams for more when it likes', async () => {
  const worker = new Worker(TAKES_OUTPUT, { eval: true, stdout: true, stderr: true });
  onTestFinished(() => void worker.terminate());
  await once(worker, 'message');
  // From here on the main thread reads them, and asks for more.
  worker.stdout.resume();
  worker.stderr.resume();
  for (let number = 0; number < 20; number += 1) {
    worker.postMessage(number);
    expect(await once(worker, 'message')).toEqual([number]);
  }
});
