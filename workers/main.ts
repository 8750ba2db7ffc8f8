// Worker thread. [5] The Piscina entry: one task is one session, from loading the application to the last request.
import { type MessagePort, receiveMessageOnPort, threadId } from 'node:worker_threads';
import { validator } from '../middleware/validator.js';
import { toPayload } from '../src/contract/errors.js';
import {
  claim,
  type FromWorker,
  type SessionStart,
  type ToWorker,
  WAKE,
  type WorkerSettings,
} from '../src/contract/protocol.js';
import { JavaScriptGateway } from './javascript/gateway.js';
import { loadApplication } from './javascript/loader.js';
import { BodyInbox, RequestBody } from './request-body.js';
import { RingWriter } from './ring-writer.js';
import type { Runtime, WorkerRequest } from './runtime.js';
import { Sender } from './sender.js';
import { ServiceTime } from './service-time.js';

type RequestMessage = Extract<ToWorker, readonly [kind: 'request', ...unknown[]]>;

/** Serves one session; resolves when the main thread has closed it, or when the application could not be loaded. */
export default async function serve(start: SessionStart): Promise<void> {
  const { requests } = start;
  let runtime: Runtime;
  try {
    runtime = await loadRuntime(start.settings, requests);
  } catch (error) {
    post(requests, ['failed', toPayload(error)]);
    // A module that failed stays failed for its thread: the next try needs another one.
    process.exit(1);
  }
  post(requests, ['ready', runtime.description, threadId, runtime.interruptTarget]);
  const session = new WorkerSession(start, runtime);
  if (runtime.blocking) session.serveBlocking();
  else await session.serveOnEventLoop();
  runtime.close();
  requests.close();
}

async function loadRuntime(settings: WorkerSettings, requests: MessagePort): Promise<Runtime> {
  if (settings.application.runtime === 'javascript') {
    const application = await loadApplication(settings.application);
    return new JavaScriptGateway(settings.validate ? validator(application) : application, settings);
  }
  // Only a Python application pays for loading koffi.
  const { loadCpython } = await import('./python/cpython.js');
  return loadCpython(settings, (level, text) => post(requests, ['log', 0, level, text]));
}

class WorkerSession {
  readonly #requests: MessagePort;
  readonly #control: Int32Array;
  readonly #inbox: BodyInbox;
  readonly #ring: RingWriter | null;
  readonly #runtime: Runtime;
  readonly #concurrency: number;
  readonly #serviceTime: ServiceTime;
  /** Requests that wait here, unclaimed, while an asynchronous application runs as many as it may. */
  readonly #waiting: RequestMessage[] = [];
  #running = 0;
  #closing = false;
  #resolveClosed: () => void = () => {};

  constructor(start: SessionStart, runtime: Runtime) {
    this.#requests = start.requests;
    this.#control = start.control;
    this.#inbox = new BodyInbox(start.bodies);
    this.#ring = start.ring === null ? null : new RingWriter(start.ring, start.control, start.requests);
    this.#runtime = runtime;
    this.#concurrency = start.settings.concurrency;
    this.#serviceTime = new ServiceTime(start.control);
  }

  /** For a runtime with an event loop of its own to serve: timers and promises of a JavaScript application. */
  serveOnEventLoop(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolveClosed = resolve;
      this.#requests.on('message', (message: ToWorker) => this.#receive(message));
    });
  }

  /**
   * For a runtime without one: the thread blocks until the next message, which costs less than waking an event loop.
   * It is woken by WAKE, which the main thread counts up after each message; a 'close' message ends it.
   */
  serveBlocking(): void {
    while (!this.#closing) {
      const seen = Atomics.load(this.#control, WAKE);
      const received = receiveMessageOnPort(this.#requests);
      if (received === undefined) Atomics.wait(this.#control, WAKE, seen);
      else this.#receive(received.message as ToWorker);
    }
  }

  #receive(message: ToWorker): void {
    if (message[0] === 'close') {
      this.#closing = true;
      this.#settle();
    } else if (this.#running < this.#concurrency) {
      this.#run(message);
    } else {
      this.#waiting.push(message);
    }
  }

  #run([, id, slot, environ, body]: RequestMessage): void {
    if (!claim(this.#control, slot, id)) return;
    const began = performance.now();
    const session = { port: this.#requests, control: this.#control, inbox: this.#inbox };
    const request: WorkerRequest = {
      id,
      environ,
      body: new RequestBody(session, { id, slot, body }),
      sender: new Sender(this.#requests, this.#control, this.#ring, id, slot),
    };
    const pending = this.#runtime.handle(request);
    if (pending === undefined) {
      this.#serviceTime.count(began);
      return;
    }
    this.#running += 1;
    void pending.then(() => {
      this.#running -= 1;
      this.#serviceTime.count(began);
      this.#runNext();
    });
  }

  #runNext(): void {
    while (this.#running < this.#concurrency) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#run(next);
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#closing && this.#running === 0 && this.#waiting.length === 0) this.#resolveClosed();
  }
}

function post(port: MessagePort, message: FromWorker): void {
  port.postMessage(message);
}
