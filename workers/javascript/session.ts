// Worker thread. [5] Requests from the port to a JavaScript application: one at a time, or as many as the setting allows.
import type { MessagePort } from 'node:worker_threads';
import { claim, type SessionStart, type ToWorker } from '../../src/contract/protocol.js';
import { Answers } from '../answers.js';
import { BodyInbox, RequestBody } from '../request-body.js';
import type { WorkerRequest } from '../runtime.js';
import { Sender } from '../sender.js';
import { ServiceTime } from '../service-time.js';

type RequestMessage = Extract<ToWorker, readonly [kind: 'request', ...unknown[]]>;

type Handle = (request: WorkerRequest) => void | Promise<void>;

/** Serves on the thread's event loop, which the application's timers and promises need. */
export class JavaScriptSession {
  readonly #requests: MessagePort;
  readonly #control: Int32Array;
  readonly #inbox: BodyInbox;
  readonly #answers: Answers;
  readonly #handle: Handle;
  readonly #concurrency: number;
  readonly #serviceTime: ServiceTime;
  /** Requests that wait here, unclaimed, while an asynchronous application runs as many as it may. */
  readonly #waiting: RequestMessage[] = [];
  #running = 0;
  /** When the session is to be over, the application's end included; performance.now(). Infinite before it is closed. */
  #deadline = Number.POSITIVE_INFINITY;
  #resolveClosed: () => void = () => {};

  constructor(start: SessionStart, handle: Handle) {
    this.#requests = start.requests;
    this.#control = start.control;
    this.#inbox = new BodyInbox(start.bodies);
    this.#answers = new Answers(start.requests, start.control, start.rings?.answers ?? null);
    this.#handle = handle;
    this.#concurrency = start.settings.concurrency;
    this.#serviceTime = new ServiceTime(start.control);
  }

  /**
   * Resolves once the main thread has closed the session, and what runs is over or has used up half of the time that was left.
   * With how long the application's end may take, in milliseconds.
   */
  serve(): Promise<number> {
    return new Promise((resolve) => {
      this.#resolveClosed = () => resolve(this.#deadline - performance.now());
      this.#requests.on('message', (message: ToWorker) => this.#receive(message));
    });
  }

  #receive(message: ToWorker): void {
    if (message[0] === 'close') {
      const [, limitMs] = message;
      this.#deadline = performance.now() + limitMs;
      setTimeout(() => this.#resolveClosed(), limitMs / 2).unref();
      this.#settle();
    } else if (this.#running < this.#concurrency) {
      this.#run(message);
    } else {
      this.#waiting.push(message);
    }
  }

  #run([, id, environ, body]: RequestMessage): void {
    if (!claim(this.#control, id)) return;
    const began = performance.now();
    const sender = new Sender(this.#answers, this.#control, id);
    const session = { control: this.#control, inbox: this.#inbox };
    const pending = this.#handle({ id, environ, body: new RequestBody(session, sender, id, body), sender });
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
    const isClosing = this.#deadline < Number.POSITIVE_INFINITY;
    if (isClosing && this.#running === 0 && this.#waiting.length === 0) this.#resolveClosed();
  }
}
