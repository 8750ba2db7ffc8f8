/** Main thread. [4] One worker's port and control words, and the exchanges that it holds. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { fromPayload, type LidoError } from './errors.js';
import type { Exchange } from './exchange.js';
import {
  ACKED,
  allocateControl,
  type BodyMessage,
  CLAIM,
  type FromWorker,
  GONE,
  recall,
  type SessionStart,
  signal,
  slotWord,
  type ToWorker,
  WAKE,
  type WorkerSettings,
} from './protocol.js';

/** Who hears of what happens in a session: the dispatcher. */
export interface SessionEvents {
  /** An exchange is over in the worker: a place is free. */
  released(session: Session): void;
  log(exchange: Exchange | null, level: 'error' | 'warn' | 'info', text: string): void;
}

/** An exchange that a worker holds, and its place in the control words. */
interface Holding {
  readonly exchange: Exchange;
  readonly slot: number;
  /** When the application was last seen to be at work, performance.now(); 0 until it is looked at again. */
  lastSign: number;
}

export class Session {
  readonly #requests: MessagePort;
  readonly #bodies: MessagePort;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #freeSlots: number[];
  /** In the order in which they were sent, which is the order in which the worker claims them. */
  readonly #holdings = new Map<number, Holding>();
  readonly #events: SessionEvents;
  /** What the worker needs; its ports are to be transferred. */
  readonly start: SessionStart;
  /** Settles when the application is loaded, or could not be. */
  readonly ready: Promise<string>;
  #resolveReady: (runtime: string) => void = () => {};
  #rejectReady: (error: LidoError) => void = () => {};
  /** Python's name for the worker's thread, 0 where there is no Python. */
  thread = 0;
  /** When the request that runs now began to, at the earliest; performance.now(), 0 while idle. */
  busySince = 0;
  /** performance.now() of the last release: the most recently used worker has the warmest caches. */
  lastUsed = 0;

  constructor(settings: WorkerSettings, slots: number, events: SessionEvents) {
    const requests = new MessageChannel();
    const bodies = new MessageChannel();
    this.#requests = requests.port1;
    this.#bodies = bodies.port1;
    this.#control = allocateControl(slots);
    this.#freeSlots = Array.from({ length: slots }, (_, index) => slots - 1 - index);
    this.#events = events;
    this.start = { requests: requests.port2, bodies: bodies.port2, control: this.#control, settings };
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => {});
    this.#requests.on('message', (message: FromWorker) => this.#receive(message));
  }

  /** Exchanges that the worker holds, running or not. */
  get load(): number {
    return this.#holdings.size;
  }

  get hasRoom(): boolean {
    return this.#freeSlots.length > 0;
  }

  /** Sends an exchange to the worker. The caller has checked that there is room. */
  send(exchange: Exchange): void {
    const slot = this.#freeSlots.pop() as number;
    if (this.#holdings.size === 0) this.busySince = performance.now();
    this.#holdings.set(exchange.id, { exchange, slot, lastSign: 0 });
    exchange.state = 'sent';
    exchange.session = this;
    Atomics.store(this.#control, slotWord(slot, ACKED), 0);
    Atomics.store(this.#control, slotWord(slot, CLAIM), exchange.id);
    this.#post(['request', exchange.id, slot, exchange.environ, exchange.body.asText()]);
  }

  /** Takes back what the worker has not claimed, at most `most`, the longest waiting first. */
  recall(most: number): Exchange[] {
    const recalled: Exchange[] = [];
    for (const { exchange, slot } of this.#holdings.values()) {
      if (recalled.length >= most) break;
      if (!recall(this.#control, slot, exchange.id)) continue;
      this.#drop(exchange.id);
      exchange.state = 'waiting';
      recalled.push(exchange);
    }
    return recalled;
  }

  /** Ends the work for an exchange whose client is gone: recalled if it was not claimed, else told to stop. */
  giveUp(exchange: Exchange): void {
    const holding = this.#holdings.get(exchange.id);
    if (holding === undefined) return;
    exchange.state = 'over';
    exchange.body.close();
    if (recall(this.#control, holding.slot, exchange.id)) {
      this.#release(exchange.id);
      return;
    }
    Atomics.store(this.#control, slotWord(holding.slot, GONE), exchange.id);
    signal(this.#control, holding.slot);
  }

  /**
   * The exchange whose application has been at work for longer than `limitMs` without a sign: no head, no block, no
   * read. Waiting for the client, to read on or to send on, is not the application's time.
   */
  findOverdue(now: number, limitMs: number): Exchange | null {
    for (const holding of this.#holdings.values()) {
      const { exchange, slot } = holding;
      const runs = Atomics.load(this.#control, slotWord(slot, CLAIM)) === -exchange.id;
      if (!runs || holding.lastSign === 0 || exchange.writer.isBlocked || exchange.body.isFlowing)
        holding.lastSign = runs ? now : 0;
      else if (now - holding.lastSign >= limitMs) return exchange;
    }
    return null;
  }

  /** Asks the worker to finish what it runs and end the session. */
  close(): void {
    this.#post(['close']);
  }

  /** The worker ended before the application was loaded; nothing if it was. */
  failStart(error: LidoError): void {
    this.#rejectReady(error);
  }

  /** The worker is gone: what it had claimed fails with `error`, the rest is returned to be sent elsewhere. */
  lose(error: LidoError): Exchange[] {
    const survivors = this.recall(Number.POSITIVE_INFINITY);
    for (const { exchange } of [...this.#holdings.values()]) this.#fail(exchange, error);
    this.#requests.close();
    this.#bodies.close();
    return survivors;
  }

  #receive(message: FromWorker): void {
    switch (message[0]) {
      case 'ready':
        this.thread = message[2];
        this.#resolveReady(message[1]);
        return;
      case 'failed':
        this.#rejectReady(fromPayload(message[1]));
        return;
      case 'log':
        this.#events.log(this.#holdings.get(message[1])?.exchange ?? null, message[2], message[3]);
        return;
      default:
        this.#receiveForExchange(message);
    }
  }

  #receiveForExchange(
    message: Exclude<FromWorker, readonly ['ready' | 'failed' | 'log', ...unknown[]]>,
  ): void {
    const holding = this.#holdings.get(message[1]);
    if (holding === undefined) return;
    const { exchange } = holding;
    const { writer } = exchange;
    holding.lastSign = 0;
    switch (message[0]) {
      case 'response':
        this.#finish(exchange, exchange.state === 'over' ? null : writer.writeWhole(message[2], message[3]));
        return;
      case 'head':
        this.#listen(exchange, holding.slot);
        if (exchange.state !== 'over') writer.writeHead(message[2], message[3]);
        return;
      case 'block':
        writer.writeBlock(message[2]);
        return;
      case 'end':
        this.#finish(exchange, writer.end());
        return;
      case 'fail':
        this.#fail(exchange, fromPayload(message[2]));
        return;
      case 'read':
        this.#letBodyFlow(exchange, holding.slot);
        return;
      case 'credit':
        exchange.body.addCredit(message[2]);
        return;
      case 'file':
        return;
      default:
        assertNever(message);
    }
  }

  #listen(exchange: Exchange, slot: number): void {
    exchange.writer.listen({
      acknowledge: (bytes) => {
        Atomics.add(this.#control, slotWord(slot, ACKED), bytes);
        signal(this.#control, slot);
      },
      stop: (error) => {
        this.#events.log(exchange, 'error', `${error.code}: ${error.message}`);
        Atomics.store(this.#control, slotWord(slot, GONE), exchange.id);
        signal(this.#control, slot);
      },
    });
  }

  #letBodyFlow(exchange: Exchange, slot: number): void {
    if (exchange.state === 'over') return;
    if (exchange.body.expectsContinue) exchange.response.writeContinue();
    const forward = (chunk: Uint8Array | null) => {
      const message: BodyMessage = [exchange.id, chunk];
      this.#bodies.postMessage(message, transferable(chunk));
      signal(this.#control, slot);
    };
    exchange.body.flowTo(forward);
  }

  #fail(exchange: Exchange, error: LidoError): void {
    this.#finish(exchange, error);
  }

  #finish(exchange: Exchange, error: LidoError | null): void {
    exchange.state = 'over';
    exchange.body.close();
    exchange.conclude(error);
    this.#release(exchange.id);
  }

  #release(id: number): void {
    this.#drop(id);
    this.#events.released(this);
  }

  #drop(id: number): void {
    const holding = this.#holdings.get(id);
    if (holding === undefined) return;
    this.#holdings.delete(id);
    holding.exchange.session = null;
    this.#freeSlots.push(holding.slot);
    this.lastUsed = performance.now();
    this.busySince = this.#holdings.size === 0 ? 0 : this.lastUsed;
  }

  #post(message: ToWorker): void {
    this.#requests.postMessage(message);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
  }
}

/**
 * A chunk that has a buffer of its own, as node:http makes them, changes hands; copying it would leave garbage here that
 * V8 collects late, for it lies outside the heap.
 */
function transferable(chunk: Uint8Array | null): ArrayBuffer[] {
  if (chunk === null || chunk.byteLength !== chunk.buffer.byteLength) return [];
  return [chunk.buffer as ArrayBuffer];
}

function assertNever(message: never): never {
  throw new Error(`unexpected message ${JSON.stringify(message)}`);
}
