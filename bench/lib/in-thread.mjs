/** Runs a load of our own in a thread, so that it does not wait for the bench's own work. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** The default export of `file` (beside this one) is called with `data`; resolves with what it returns. */
export async function inThread(file, data) {
  const source = `import { parentPort, workerData } from 'node:worker_threads';
    const { default: run } = await import(workerData.file);
    parentPort.postMessage(await run(workerData.data));
    process.exit();`;
  const workerData = { file: new URL(file, import.meta.url).href, data };
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData });
  const [result] = await once(worker, 'message');
  await worker.terminate();
  return result;
}
