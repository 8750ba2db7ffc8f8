/** Main thread. [8] What a worker says of its exchanges ► their writers: the other end of workers/sender.ts. */
import { fromPayload, LidoError } from '../contract/errors.js';
import {
  BODY_WINDOW,
  FILE_REFUSED,
  FILE_TAKEN,
  type FromWorker,
  LOOP_BODY_WINDOW,
} from '../contract/protocol.js';
import { BodyBell, type BodyCarrier } from './body-channel.js';
import type { Exchange } from './exchange.js';
import { openAgain, sendFile } from './file-body.js';
import type { Inbox } from './inbox.js';
import type { RingReader } from './ring-reader.js';
import type { AnswerState, Slot, Slots } from './slots.js';
import { WebSocketReceiver } from './websocket-receiver.js';

/** What is about an exchange, and changes it. */
export type AnswerMessage = Exclude<
  FromWorker,
  readonly ['ready' | 'failed' | 'log' | 'answers' | 'room', ...unknown[]]
>;

type FileMessage = Extract<FromWorker, readonly ['file', ...unknown[]]>;

/** Who hears of what becomes of them: the session. */
export interface ReceiverEvents {
  /** The worker is done with the exchange in this slot. */
  finished(slot: Slot): void;
  log(exchange: Exchange | null, level: 'error', text: string): void;
}

/** The states of an answer in which a message may come. */
const LEGAL: Readonly<Record<AnswerMessage[0], readonly AnswerState[]>> = {
  read: ['awaited', 'open', 'whole'],
  credit: ['awaited', 'open', 'whole'],
  hint: ['awaited', 'open', 'whole'],
  trailers: ['open'],
  response: ['awaited'],
  head: ['awaited'],
  file: ['awaited'],
  block: ['open'],
  whole: ['open'],
  end: ['open', 'whole'],
  fail: ['awaited', 'open', 'whole'],
  accept: ['awaited'],
  part: ['open'],
  message: ['open'],
  close: ['awaited', 'open'],
};

/** Of these, what comes of a WebSocket alone. */
const WEBSOCKET_ONLY: ReadonlySet<string> = new Set([
  'accept',
  'part',
  'message',
  'close',
] satisfies AnswerMessage[0][]);

/** What ends a request in the worker, whatever came before. */
const LAST: ReadonlySet<string> = new Set(['response', 'end', 'fail'] satisfies AnswerMessage[0][]);

export class Receiver {
  readonly #slots: Slots;
  readonly #bodies: BodyCarrier;
  readonly #bodyWindow: number;
  readonly #ring: RingReader | null;
  readonly #events: ReceiverEvents;
  /** Null for a worker that has none. */
  readonly #webSockets: WebSocketReceiver | null;

  /** `inbox` is that of a worker that runs a loop. */
  constructor(
    slots: Slots,
    bodies: BodyCarrier,
    inbox: Inbox | null,
    ring: RingReader | null,
    events: ReceiverEvents,
  ) {
    this.#slots = slots;
    this.#bodies = bodies;
    this.#bodyWindow = inbox === null ? BODY_WINDOW : LOOP_BODY_WINDOW;
    this.#webSockets = inbox === null ? null : new WebSocketReceiver(inbox);
    this.#ring = ring;
    this.#events = events;
  }

  /** `giveBack` is called once nobody reads the block in the message any more. */
  receive(message: AnswerMessage, giveBack?: () => void): void {
    const slot = this.#slots.find(message[1]);
    if (slot === null || slot.exchange === null) {
      const { code, message: text } = outOfOrder(message[0], 'nothing: its request is over');
      giveBack?.();
      this.#events.log(null, 'error', `${code}: ${text}`);
      return;
    }
    if (mayCome(message[0], slot, slot.exchange)) {
      this.#receiveOf(slot, slot.exchange, message, giveBack);
    } else {
      giveBack?.();
      this.#break(slot, slot.exchange, message[0]);
    }
  }

  #receiveOf(slot: Slot, exchange: Exchange, message: AnswerMessage, giveBack?: () => void): void {
    const { writer } = exchange;
    slot.lastSign = 0;
    switch (message[0]) {
      case 'response':
        if (replaceAnswer(exchange, message[2])) this.finish(slot, null);
        else this.finish(slot, exchange.isSent ? writer.writeWhole(message[2], message[3]) : null);
        return;
      case 'head':
        slot.answer = 'open';
        if (replaceAnswer(exchange, message[2])) {
          slot.stop();
          return;
        }
        this.#listen(slot, exchange);
        if (exchange.isSent) writer.writeHead(message[2], message[3]);
        return;
      case 'block':
        // Nobody acknowledges what is dropped: the worker has been told to stop.
        if (exchange.isSent) writer.writeBlock(message[2], giveBack);
        else giveBack?.();
        return;
      case 'hint':
        if (exchange.isSent) writer.writeEarlyHints(message[2]);
        return;
      case 'trailers':
        if (exchange.isSent) writer.addTrailers(message[2]);
        return;
      case 'whole':
        slot.answer = 'whole';
        if (exchange.isSent) this.#endBody(exchange);
        return;
      case 'end':
        this.finish(slot, exchange.isSent ? writer.end() : null);
        return;
      case 'fail':
        this.finish(slot, fromPayload(message[2]));
        return;
      case 'accept':
        this.#webSockets?.accept(slot, exchange, message[2]);
        return;
      case 'part':
        this.#webSockets?.keepPart(slot.id, message[2]);
        return;
      case 'message':
        this.#webSockets?.send(slot, exchange, message[2], message[3]);
        return;
      case 'close':
        this.#webSockets?.close(slot, exchange, message[2], message[3]);
        return;
      case 'read':
        this.#letBodyFlow(slot, exchange);
        return;
      case 'credit':
        (exchange.webSocket ?? exchange.body).addCredit(message[2]);
        if (this.#bodies.flush()) slot.signal();
        return;
      case 'file':
        this.#receiveFile(slot, exchange, message);
        return;
      default:
        message satisfies never;
    }
  }

  /**
   * A message that must not come where it does is a mistake of Lido's own. It costs the one request that it is about:
   * an exception here would end the process, and with it everybody's.
   */
  #break(slot: Slot, exchange: Exchange, kind: AnswerMessage[0]): void {
    const isFirst = slot.answer !== 'broken';
    const error = outOfOrder(kind, `one of ${expected(slot.answer, exchange)}`);
    slot.answer = 'broken';
    if (isFirst) {
      slot.stop();
      if (exchange.isSent) exchange.detach();
      exchange.fail(error);
    }
    if (LAST.has(kind)) this.finish(slot, null);
  }

  /** The worker is done with the exchange in this slot, or lost. */
  finish(slot: Slot, error: LidoError | null): void {
    this.#webSockets?.forget(slot.id);
    slot.exchange?.finish(error);
    this.#events.finished(slot);
  }

  #receiveFile(slot: Slot, exchange: Exchange, message: FileMessage): void {
    const isTaken = this.#takeFile(exchange, message);
    if (isTaken) slot.answer = 'open';
    slot.answerFile(isTaken ? FILE_TAKEN : FILE_REFUSED);
  }

  /** From here on the response is nobody's but the file's: the worker is done with it, whatever becomes of the client. */
  #takeFile(exchange: Exchange, [, , head, fd, position, length]: FileMessage): boolean {
    if (!exchange.isSent || replaceAnswer(exchange, head)) return true;
    const file = openAgain(fd);
    if (file === null) return false;
    exchange.detach();
    sendFile(exchange, head, { fd: file, position, length });
    return true;
  }

  #endBody(exchange: Exchange): void {
    const error = exchange.writer.end();
    if (error !== null) this.#events.log(exchange, 'error', `${error.code}: ${error.message}`);
  }

  #listen(slot: Slot, exchange: Exchange): void {
    const { id } = slot;
    const ring = this.#ring;
    if (ring !== null) exchange.writer.onceClosed(() => ring.releaseAll(id));
    exchange.writer.bufferBlocks();
    exchange.writer.listen({
      // The socket may take the last bytes when the slot is somebody else's already.
      acknowledge: (bytes) => {
        if (slot.exchange === exchange) slot.acknowledge(bytes);
      },
      stop: (error) => {
        this.#events.log(exchange, 'error', `${error.code}: ${error.message}`);
        slot.stop();
      },
    });
  }

  #letBodyFlow(slot: Slot, exchange: Exchange): void {
    if (!exchange.isSent) return;
    if (exchange.body.expectsContinue) exchange.writer.writeContinue();
    const { id } = slot;
    // To signal a slot that is another request's by then wakes somebody who looks, and sleeps on.
    const bell = new BodyBell(() => slot.signal());
    exchange.body.flowTo((chunk) => {
      const bytes = chunk?.length ?? 0;
      this.#bodies.send(id, chunk);
      bell.tell(bytes);
    }, this.#bodyWindow);
  }
}

/** True where somebody else answers: whatever else the worker says of it is not wanted. */
function replaceAnswer(exchange: Exchange, head: string): boolean {
  const { substitute } = exchange;
  if (substitute === null || !exchange.isSent || !substitute.isFor(head)) return false;
  exchange.detach();
  void substitute.answer(exchange, head);
  return true;
}

/** A client that goes away before the head leaves the worker nothing to say but that it is done. */
function mayCome(kind: AnswerMessage[0], slot: Slot, exchange: Exchange): boolean {
  if (kind === 'end' && slot.answer === 'awaited') return !exchange.isSent;
  // What has no place in the table is no message at all.
  return (LEGAL[kind]?.includes(slot.answer) ?? false) && isAbout(kind, exchange);
}

function expected(state: AnswerState, exchange: Exchange): string {
  const kinds = Object.entries(LEGAL).filter(
    ([kind, states]) => states.includes(state) && isAbout(kind, exchange),
  );
  return kinds.map(([kind]) => kind).join(', ');
}

function isAbout(kind: string, { webSockets }: Exchange): boolean {
  return webSockets !== null || !WEBSOCKET_ONLY.has(kind);
}

function outOfOrder(kind: string, awaited: string): LidoError {
  return new LidoError('LIDO_MESSAGE_OUT_OF_ORDER', [kind, awaited]);
}
