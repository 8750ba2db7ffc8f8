/** Main thread. [4] One worker's port and control words, and the exchanges that it holds. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { fromPayload, type LidoError } from '../contract/errors.js';
import {
  ASKED,
  allocateControl,
  FOUND_FREE,
  type FromWorker,
  GIL_WAIT,
  HEAP_LIMIT,
  HEAP_USED,
  type InterruptTarget,
  SERVICE_TIME,
  type SessionStart,
  type WorkerSettings,
} from '../contract/protocol.js';
import { BODIES_SIZE } from '../contract/ring.js';
import type { Waker } from '../python/waker.js';
import { Alarm } from './alarm.js';
import { type BodyCarrier, BodyChannel } from './body-channel.js';
import type { Exchange, ExchangeHolder } from './exchange.js';
import { Inbox } from './inbox.js';
import { Lookout } from './lookout.js';
import { Loop } from './loop.js';
import type { Manner } from './manners.js';
import { Receiver } from './receiver.js';
import { RequestChannel } from './request-channel.js';
import { findContent } from './request-content.js';
import { RingReader } from './ring-reader.js';
import { type Slot, Slots } from './slots.js';

/** Messages taken in one turn, before others have theirs. */
const MAX_BATCH = 256;

/** Who hears of what happens in a session: the dispatcher. */
export interface SessionEvents {
  /** What an exchange did with the GIL, as MANNER tells it. Before released(). */
  measured(exchange: Exchange, manner: number): void;
  /** An exchange is over in the worker: a slot is free. */
  released(session: Session): void;
  log(
    exchange: Exchange | null,
    level: 'error' | 'warn' | 'info',
    text: string,
    fields?: Readonly<Record<string, string>>,
  ): void;
}

export class Session implements ExchangeHolder {
  readonly #requests: MessagePort;
  readonly #bodies: MessagePort;
  /** Of a worker that runs a loop in Python; null for every other. */
  readonly #inbox: Inbox | null;
  /** Null where there is an inbox. */
  readonly #channel: RequestChannel | null;
  /** By which a worker without a loop in Python is woken. */
  readonly #alarm: Alarm;
  readonly #answers: RingReader | null;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #slots: Slots;
  readonly #receiver: Receiver;
  /** The exchanges that it holds, in the order in which they were sent: the first is the one that runs. */
  readonly #held: Exchange[] = [];
  readonly #events: SessionEvents;
  /** What the worker needs; its ports are to be transferred. */
  readonly start: SessionStart;
  /** Settles when the application is loaded, or could not be. */
  readonly ready: Promise<string>;
  #resolveReady: (runtime: string) => void = () => {};
  #rejectReady: (error: LidoError) => void = () => {};
  /** Node's number of the worker's thread. */
  thread = 0;
  /** The system's number of it; 0 where nobody knows. */
  nativeThread = 0;
  /** Its application is told of its end, which is waited for. */
  hasEnd = false;
  /** For Python's host to interrupt what the worker runs; null where the application is none of Python's. */
  interruptTarget: InterruptTarget | null = null;
  /** When the request that runs now began to, at the earliest; performance.now(), 0 while idle. */
  busySince = 0;
  /** performance.now() of the last release: the most recently used worker has the warmest caches. */
  lastUsed = 0;

  /** Settles once its worker's task is over, however that ended; given by the pool. Never rejects. */
  whenOver: Promise<unknown> = Promise.resolve();
  readonly runsOne: boolean;
  /** Null for a worker that runs one request after the other, or JavaScript. */
  readonly loop: Loop | null;
  /** The small number by which its worker is spoken of, from 1 on. */
  readonly number: number;
  /** Null where all that the worker says is told of. */
  readonly #lookout: Lookout | null;
  #isLost = false;
  readonly #stopListening: () => void;

  constructor(
    settings: WorkerSettings,
    slots: number,
    events: SessionEvents,
    number: number,
    waker: Waker | null,
  ) {
    this.number = number;
    const { application } = settings;
    const isPython = application.runtime === 'cpython';
    const hasLoop = isPython && application.interface === 'asgi';
    this.runsOne = settings.concurrency === 1 && !hasLoop;
    const requests = new MessageChannel();
    const bodies = new MessageChannel();
    this.#requests = requests.port1;
    this.#bodies = bodies.port1;
    this.#control = allocateControl(slots);
    this.#inbox = hasLoop ? new Inbox(this.#control) : null;
    this.#alarm = new Alarm(this.#control);
    this.#slots = new Slots(slots, this.#control, this.#inbox);
    this.loop = this.#inbox === null ? null : new Loop(this.#inbox, this.#slots);
    this.#channel =
      this.#inbox === null
        ? new RequestChannel(this.#requests, this.#control, isPython ? this.#alarm : null)
        : null;
    // Python without a loop answers one request after the other, whatever may run at once elsewhere.
    const hasAnswers = isPython || settings.concurrency === 1;
    this.#answers = hasAnswers ? new RingReader(this.#control, this.#inbox) : null;
    this.#lookout = hasAnswers && !hasLoop ? new Lookout(this.#control, this.look) : null;
    const chunks = isPython && !hasLoop ? new SharedArrayBuffer(BODIES_SIZE) : null;
    this.#events = events;
    const carrier: BodyCarrier = this.#inbox ?? new BodyChannel(this.#bodies, chunks, this.#control);
    this.#receiver = new Receiver(this.#slots, carrier, this.#inbox, this.#answers, {
      finished: (slot) => this.#release(slot),
      log: (exchange, level, text) => events.log(exchange, level, text),
    });
    this.start = {
      requests: requests.port2,
      bodies: bodies.port2,
      control: this.#control,
      rings: {
        requests: (this.#inbox ?? (this.#channel as RequestChannel)).memory,
        bodies: chunks,
        answers: this.#answers?.memory ?? null,
      },
      settings,
      worker: number,
    };
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => {});
    this.#stopListening = waker?.onWake(this.look) ?? (() => {});
    this.#requests.on('message', (message: FromWorker) => this.#receiveAll(message));
  }

  /** Exchanges that the worker holds, running or not. */
  get load(): number {
    return this.#slots.taken;
  }

  /** Those exchanges, in the order in which they were sent. */
  get exchanges(): readonly Exchange[] {
    return this.#held;
  }

  /** What is known of the request that it runs; null while idle. */
  get manner(): Manner | null {
    return this.#held[0]?.manner ?? null;
  }

  /** The first of them, once the worker has claimed it. */
  get running(): Exchange | null {
    const first = this.#held[0];
    return first !== undefined && this.#slots.find(first.id)?.isClaimed === true ? first : null;
  }

  /** Wakes a Python worker without a loop, which finds out whether the GIL is free. */
  askForGil(): void {
    Atomics.add(this.#control, ASKED, 1);
    this.#alarm.wake();
  }

  get foundGilFree(): boolean {
    return Atomics.load(this.#control, FOUND_FREE) === Atomics.load(this.#control, ASKED);
  }

  /** V8's heap and its limit, as a JavaScript worker told last; null where none did. Bytes. */
  get heap(): { readonly used: number; readonly limit: number } | null {
    const used = this.#control[HEAP_USED] as number;
    return used === 0 ? null : { used: used * 1024, limit: (this.#control[HEAP_LIMIT] as number) * 1024 };
  }

  /** What its worker has waited for the GIL as it woke. Microseconds, modulo 2^32. */
  get gilWaitUs(): number {
    return (this.#control[GIL_WAIT] as number) >>> 0;
  }

  get serviceMs(): number {
    return (this.#control[SERVICE_TIME] as number) / 1e6;
  }

  /** Sends an exchange to the worker. The caller has checked that there is room. */
  send(exchange: Exchange): void {
    if (this.#slots.taken === 0) this.busySince = performance.now();
    const slot = this.#slots.take(exchange);
    this.#held.push(exchange);
    exchange.send(this, slot.id);
    this.#lookout?.noteSent();
    const { environ, body } = exchange;
    if (this.#inbox !== null)
      this.#inbox.putRequest(slot.id, environ, body.asText(), exchange.webSockets !== null);
    else this.#channel?.send(slot.id, environ, findContent(body));
  }

  /** Takes back what the worker has not claimed, at most `most`, the longest waiting first. */
  recall(most: number): Exchange[] {
    const recalled: Exchange[] = [];
    for (const slot of this.#slots.byAge()) {
      if (recalled.length >= most) break;
      const { exchange } = slot;
      if (exchange === null || !slot.recall()) continue;
      this.#drop(slot);
      exchange.recall();
      recalled.push(exchange);
    }
    if (recalled.length > 0) this.#lookout?.noteRecalled();
    return recalled;
  }

  /** Ends the work for an exchange whose client is gone: recalled if it was not claimed, else told to stop. */
  giveUp(exchange: Exchange): void {
    const slot = this.#slots.find(exchange.id);
    if (slot === null) return;
    exchange.detach();
    if (!slot.recall()) {
      slot.stop();
      return;
    }
    exchange.finish(null);
    this.#drop(slot);
    this.#lookout?.noteRecalled();
    this.#events.released(this);
  }

  /** The exchange whose application gave no sign for so long; null where none is. */
  findOverdue(now: number, limitMs: number): Exchange | null {
    return this.#slots.findOverdue(now, limitMs);
  }

  /** Asks the worker to finish what it runs and end the session. An application with an end of its own has so long for it. */
  close(limitMs = 0): void {
    if (this.loop === null) this.#channel?.close(limitMs);
    else this.loop.close(limitMs);
  }

  /** The worker ended before the application was loaded; nothing if it was. What it said of that comes first. */
  failStart(error: LidoError): void {
    this.#receiveWaiting(Number.POSITIVE_INFINITY);
    this.#rejectReady(error);
  }

  /**
   * The worker is gone: what it had claimed and not answered fails with `error`, the rest is returned to be sent
   * elsewhere. Its last answers may still lie in the port.
   */
  lose(error: LidoError): Exchange[] {
    this.#answers?.deliver(this.#take);
    this.#receiveWaiting(Number.POSITIVE_INFINITY);
    const survivors = this.recall(Number.POSITIVE_INFINITY);
    for (const slot of this.#slots.byAge()) {
      // Its thread may go on, and must not take what is now another's for the file that it was lent.
      slot.stop();
      slot.exchange?.body.leaveLent(this.whenOver);
      this.#receiver.finish(slot, error);
    }
    this.#isLost = true;
    this.#stopListening();
    this.#requests.close();
    this.#bodies.close();
    this.#inbox?.close();
    this.#channel?.stop();
    this.#alarm.close();
    return survivors;
  }

  /** Takes what the worker has answered, whether it has told of that or not. */
  readonly look = (): void => {
    if (!this.#isLost) this.#answers?.deliver(this.#take);
  };

  /** Takes what else has come at once: node:http gives the socket in one piece what is written in one turn. */
  #receiveAll(first: FromWorker): void {
    this.#receive(first);
    this.#receiveWaiting(MAX_BATCH - 1);
  }

  #receiveWaiting(most: number): void {
    for (let count = 0; count < most; count += 1) {
      const received = receiveMessageOnPort(this.#requests);
      if (received === undefined) return;
      this.#receive(received.message as FromWorker);
    }
  }

  /** What the worker put into the ring before it sent a message comes before that. */
  #receive(message: FromWorker): void {
    if (message[0] === 'answers') this.#answers?.hear();
    this.#answers?.deliver(this.#take);
    if (message[0] !== 'answers') this.#take(message);
  }

  readonly #take = (message: FromWorker, giveBack?: () => void): void => {
    switch (message[0]) {
      case 'answers':
        return;
      case 'room':
        this.#inbox?.flush();
        return;
      case 'ready':
        this.thread = message[2];
        this.interruptTarget = message[3];
        if (message[4] !== null) (this.#inbox ?? this.#alarm).open(message[4]);
        this.nativeThread = message[5];
        this.hasEnd = message[6];
        this.#resolveReady(message[1]);
        return;
      case 'failed':
        this.#rejectReady(fromPayload(message[1]));
        return;
      case 'log': {
        const [, id, level, text, fields] = message;
        this.#events.log(this.#slots.find(id)?.exchange ?? null, level, text, fields);
        return;
      }
      default:
        this.#receiver.receive(message, giveBack);
    }
  };

  #release(slot: Slot): void {
    if (slot.exchange !== null) this.#events.measured(slot.exchange, slot.manner);
    this.lastUsed = performance.now();
    this.busySince = this.lastUsed;
    this.#drop(slot);
    this.#events.released(this);
  }

  /** Frees a slot. One that was recalled says nothing of the request that runs: that may be as slow as before. */
  #drop(slot: Slot): void {
    if (slot.exchange === this.#held[0]) this.#held.shift();
    else if (slot.exchange !== null) this.#held.splice(this.#held.indexOf(slot.exchange), 1);
    this.#slots.release(slot);
    if (this.#slots.taken === 0) this.busySince = 0;
  }
}
