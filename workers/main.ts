// Worker thread. [5] The Piscina entry: one task is one session, from loading the application to the last request.
import { type MessagePort, threadId } from 'node:worker_threads';
import { toPayload } from '../src/contract/errors.js';
import type { FromWorker, SessionStart } from '../src/contract/protocol.js';
import type { Application } from '../src/contract/wsgi.js';
import type { Runtime } from './runtime.js';
import { findNativeThread, tellHeap } from './self.js';

/** Serves one session; resolves when the main thread has closed it, or when the application could not be loaded. */
export default async function serve(start: SessionStart): Promise<void> {
  const { requests } = start;
  let runtime: Runtime;
  try {
    runtime = await loadRuntime(start, requests);
  } catch (error) {
    post(requests, ['failed', toPayload(error)]);
    // A module that failed stays failed for its thread: the next try needs another one.
    process.exit(1);
  }
  const { description, interruptTarget, bell, hasEnd } = runtime;
  post(requests, ['ready', description, threadId, interruptTarget, bell, findNativeThread(), hasEnd]);
  const stopTelling = start.settings.tellsHeap ? tellHeap(start.control) : () => {};
  await runtime.serve(start);
  stopTelling();
  runtime.close();
  requests.close();
}

async function loadRuntime({ settings, worker }: SessionStart, requests: MessagePort): Promise<Runtime> {
  // Each pays for loading its own language's part alone.
  if (settings.application.runtime === 'javascript') {
    const { loadApplication } = await import('./javascript/loader.js');
    const { JavaScriptGateway } = await import('./javascript/gateway.js');
    const { takeOutput } = await import('./javascript/output.js');
    const output = takeOutput(settings.output, { application: settings.application.spec, worker });
    const files = settings.tellsFiles ? await import('./javascript/loaded-files.js') : null;
    files?.tellLoadedFiles();
    const { application, lifespan } = await loadApplication(settings.application);
    await lifespan.start();
    files?.tellRequiredFiles();
    const served = settings.validate ? await validate(application) : application;
    return new JavaScriptGateway(served, lifespan, settings, output);
  }
  const { loadCpython } = await import('./python/cpython.js');
  return loadCpython(settings, worker, (level, text) => post(requests, ['log', 0, level, text]));
}

async function validate(application: Application): Promise<Application> {
  const { validator } = await import('../middleware/validator.js');
  return validator(application);
}

function post(port: MessagePort, message: FromWorker): void {
  port.postMessage(message);
}
