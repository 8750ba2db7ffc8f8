/** Main thread. [4] Requests on their way to a worker without a loop in Python: through a ring, and how the worker is woken for them. */
import type { MessagePort } from 'node:worker_threads';
import {
  CLOSING,
  REQUESTS_FREED,
  REQUESTS_WRITTEN,
  SERVICE_TIME,
  SLEEPING,
  type ToWorker,
} from '../contract/protocol.js';
import { POSTED_REQUEST, REQUESTS_SIZE, RingWriter } from '../contract/ring.js';
import type { Alarm } from './alarm.js';
import { putRequest, type RequestContent } from './request-content.js';

/** A worker that sleeps is woken for so much work, even though more may come in the same turn. Nanoseconds. */
const ENOUGH_NS = 100_000;
/** From one look for room in a ring that is full to the next. Milliseconds. */
const FULL_MS = 5;

export class RequestChannel {
  readonly memory = new SharedArrayBuffer(REQUESTS_SIZE);
  readonly #ring: RingWriter;
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  readonly #alarm: Alarm | null;
  /** Requests that a worker which sleeps was not woken for. */
  #unheard = 0;
  /** It was woken in this turn. */
  #hasWoken = false;
  /** Posted, in their order; the ring has no room even to say so: a worker that reads nothing was sent thousands that were recalled. */
  readonly #owed: number[] = [];
  #owedTimer: NodeJS.Timeout | null = null;

  /** `alarm` is null for a worker that sleeps in Node's event loop, which only a message wakes. */
  constructor(port: MessagePort, control: Int32Array, alarm: Alarm | null) {
    this.#port = port;
    this.#control = control;
    this.#ring = new RingWriter(this.memory, control, { written: REQUESTS_WRITTEN, freed: REQUESTS_FREED });
    this.#alarm = alarm;
  }

  send(id: number, environ: string, body: RequestContent): void {
    if (this.#owed.length > 0 || !putRequest(this.#ring, id, environ, body)) {
      // What is no text comes in chunks there.
      const text = typeof body === 'string' ? body : null;
      this.#port.postMessage(['request', id, environ, text] satisfies ToWorker);
      this.#owed.push(id);
      this.#payOwed();
    }
    this.#wakeInTime();
  }

  /** Nobody reads the ring any more. Idempotent. */
  stop(): void {
    this.#owed.length = 0;
    if (this.#owedTimer !== null) clearTimeout(this.#owedTimer);
  }

  /** Asks the worker to finish what it was sent and end the session; an application that has an end of its own, within so long. */
  close(limitMs: number): void {
    if (this.#alarm === null) {
      this.#port.postMessage(['close', limitMs] satisfies ToWorker);
      return;
    }
    Atomics.store(this.#control, CLOSING, 1);
    this.#alarm.wake();
  }

  #payOwed(): void {
    let paid = 0;
    for (const id of this.#owed) {
      if (!this.#ring.put(POSTED_REQUEST, id, '', '')) break;
      paid += 1;
    }
    this.#owed.splice(0, paid);
    if (this.#owed.length > 0) this.#owedTimer ??= setTimeout(this.#payLater, FULL_MS);
  }

  readonly #payLater = (): void => {
    this.#owedTimer = null;
    this.#payOwed();
    if (Atomics.load(this.#control, SLEEPING) !== 0) this.#wake();
  };

  /**
   * To wake a thread costs more than to answer a short request, and one that is woken for a single one soon sleeps again. So the
   * first request of a turn wakes it; those behind that wait until there is work enough, or until the turn ends.
   */
  #wakeInTime(): void {
    if (Atomics.load(this.#control, SLEEPING) === 0) return;
    this.#unheard += 1;
    const workNs = this.#unheard * (this.#control[SERVICE_TIME] as number);
    if (this.#hasWoken && workNs < ENOUGH_NS) return;
    if (!this.#hasWoken) setImmediate(this.#endTurn);
    this.#hasWoken = true;
    this.#wake();
  }

  readonly #endTurn = (): void => {
    this.#hasWoken = false;
    if (this.#unheard > 0 && Atomics.load(this.#control, SLEEPING) !== 0) this.#wake();
  };

  #wake(): void {
    this.#unheard = 0;
    if (this.#alarm !== null) this.#alarm.wake();
    else {
      Atomics.store(this.#control, SLEEPING, 0);
      this.#port.postMessage(['requests'] satisfies ToWorker);
    }
  }
}
