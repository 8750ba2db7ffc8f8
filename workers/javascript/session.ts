// Worker thread. [5] Requests from the ring to a JavaScript application: one at a time, or as many as the setting allows.
import { AsyncResource } from 'node:async_hooks';
import type { MessagePort } from 'node:worker_threads';
import type { SessionStart, ToWorker } from '../../src/contract/protocol.js';
import { Answers } from '../answers.js';
import { BodyInbox, RequestBody } from '../request-body.js';
import type { WorkerRequest } from '../runtime.js';
import { Sender } from '../sender.js';
import { ServiceTime } from '../service-time.js';
import { type ClaimedRequest, RequestRing } from './request-ring.js';

type Handle = (request: WorkerRequest) => void | Promise<void>;

/** Requests are begun for so long before the application's timers, promises and sockets have their turn. Milliseconds. */
const LONGEST_TURN_MS = 1;
/** The main thread is told once of the answers of a turn, save of those that took longer. Milliseconds. */
const QUICK_MS = 0.1;

/** Serves on the thread's event loop, which the application's timers and promises need. */
export class JavaScriptSession {
  readonly #port: MessagePort;
  readonly #ring: RequestRing;
  readonly #control: Int32Array;
  readonly #inbox: BodyInbox;
  readonly #answers: Answers;
  readonly #handle: Handle;
  readonly #concurrency: number;
  readonly #serviceTime: ServiceTime;
  #running = 0;
  /** Until then requests are begun in this turn of the event loop; performance.now(). */
  #turnEnd = 0;
  /** The event loop has its turn, and requests the next. */
  #isYielding = false;
  /** When the session is to be over, the application's end included; performance.now(). Infinite before it is closed. */
  #deadline = Number.POSITIVE_INFINITY;
  #resolveClosed: () => void = () => {};

  constructor(start: SessionStart, handle: Handle) {
    this.#port = start.requests;
    this.#ring = new RequestRing(start, this.#hear);
    this.#control = start.control;
    this.#inbox = new BodyInbox(start.bodies);
    this.#answers = new Answers(start.requests, start.control, start.rings.answers);
    this.#handle = handle;
    this.#concurrency = start.settings.concurrency;
    this.#serviceTime = new ServiceTime(start.control);
  }

  /**
   * Resolves once the main thread has closed the session, and what it sent is over or has used up half of the time that was
   * left. With how long the application's end may take, in milliseconds; 0 where nothing is left.
   */
  serve(): Promise<number> {
    return new Promise((resolve) => {
      this.#resolveClosed = () => resolve(Math.max(0, this.#deadline - performance.now()));
      this.#port.on('message', (message: ToWorker) => {
        this.#hear(message);
        this.#beginTurn();
      });
      this.#beginTurn();
    });
  }

  readonly #hear = (message: ToWorker): void => {
    if (message[0] === 'close') this.#close(message[1]);
    else if (message[0] === 'request') this.#ring.keep(message);
  };

  #close(limitMs: number): void {
    this.#deadline = performance.now() + limitMs;
    setTimeout(() => this.#resolveClosed(), limitMs / 2).unref();
  }

  #beginTurn(): void {
    if (this.#isYielding) return;
    const now = performance.now();
    this.#turnEnd = now + LONGEST_TURN_MS;
    this.#answerWaiting(now);
  }

  /**
   * Begins what waits in the ring, as many as may run; those that are too many stay there, unclaimed. One asynchronous request may
   * follow the other within one turn of the event loop, so the turn's end is not told anew for each.
   */
  #answerWaiting(began: number): void {
    if (this.#isYielding) return;
    let now = began;
    while (this.#running < this.#concurrency) {
      if (now >= this.#turnEnd && this.#ring.waiting > 0) {
        this.#yield();
        break;
      }
      const request = this.#ring.take();
      if (request !== null) now = this.#run(request, now);
      else if (this.#ring.fallAsleep()) break;
    }
    this.#answers.tell();
    const isClosing = this.#deadline < Number.POSITIVE_INFINITY;
    if (isClosing && this.#running === 0 && !this.#isYielding) this.#resolveClosed();
  }

  #yield(): void {
    this.#isYielding = true;
    setImmediate(() => {
      this.#isYielding = false;
      this.#beginTurn();
    });
  }

  /** Returns the time when it has come back, the request being over or not. */
  #run({ id, environ, body }: ClaimedRequest, began: number): number {
    const sender = new Sender(this.#answers, this.#control, id);
    const session = { control: this.#control, inbox: this.#inbox };
    const request = { id, environ, body: new RequestBody(session, sender, id, body), sender };
    // What the application leaves behind in an AsyncLocalStorage is not for the next request.
    const pending = new AsyncResource('LIDO_REQUEST').runInAsyncScope(this.#handle, undefined, request);
    const now = performance.now();
    if (pending === undefined) {
      this.#serviceTime.count(began, now);
      if (now - began > QUICK_MS) this.#answers.tell();
    } else {
      this.#running += 1;
      void pending.then(() => this.#finish(began));
    }
    return now;
  }

  #finish(began: number): void {
    const now = performance.now();
    this.#running -= 1;
    this.#serviceTime.count(began, now);
    this.#answerWaiting(now);
  }
}
