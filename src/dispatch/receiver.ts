/** Main thread. [8] What a worker says of its exchanges ► their writers: the other end of workers/sender.ts. */
import type { MessagePort } from 'node:worker_threads';
import { fromPayload, type LidoError } from '../contract/errors.js';
import { type BodyMessage, FILE_REFUSED, FILE_TAKEN, type FromWorker } from '../contract/protocol.js';
import type { ResponseWriter } from '../http/response-writer.js';
import type { Exchange } from './exchange.js';
import { openAgain, sendFile } from './file-body.js';
import type { BlockRing } from './ring-reader.js';
import type { Place, Places } from './slots.js';

/** What is about an exchange, or about several. */
export type AnswerMessage = Exclude<FromWorker, readonly ['ready' | 'failed' | 'log', ...unknown[]]>;

/** Who hears of what becomes of them: the session. */
export interface ReceiverEvents {
  /** The worker is done with the exchange in this place. */
  finished(place: Place): void;
  log(exchange: Exchange, level: 'error', text: string): void;
}

export class Receiver {
  readonly #places: Places;
  readonly #bodies: MessagePort;
  readonly #ring: BlockRing | null;
  readonly #events: ReceiverEvents;

  constructor(places: Places, bodies: MessagePort, ring: BlockRing | null, events: ReceiverEvents) {
    this.#places = places;
    this.#bodies = bodies;
    this.#ring = ring;
    this.#events = events;
  }

  receive(message: AnswerMessage): void {
    if (message[0] === 'blocks') {
      this.#ring?.listen();
      this.#ring?.deliver(this.#writerOf);
      return;
    }
    const place = this.#places.find(message[1]);
    if (place === null || place.exchange === null) return;
    const { exchange } = place;
    const { writer } = exchange;
    place.lastSign = 0;
    switch (message[0]) {
      case 'response':
        this.finish(place, exchange.isSent ? writer.writeWhole(message[2], message[3]) : null);
        return;
      case 'head':
        this.#listen(place, exchange);
        if (exchange.isSent) writer.writeHead(message[2], message[3]);
        this.#ring?.deliver(this.#writerOf);
        return;
      case 'block':
        this.#ring?.deliver(this.#writerOf);
        writer.writeBlock(message[2]);
        return;
      case 'whole':
        this.#ring?.deliver(this.#writerOf);
        if (exchange.isSent) this.#endBody(exchange);
        return;
      case 'end':
        this.#ring?.deliver(this.#writerOf);
        this.finish(place, exchange.isSent ? writer.end() : null);
        return;
      case 'fail':
        this.#ring?.deliver(this.#writerOf);
        this.finish(place, fromPayload(message[2]));
        return;
      case 'read':
        this.#letBodyFlow(place, exchange);
        return;
      case 'credit':
        exchange.body.addCredit(message[2]);
        return;
      case 'file':
        place.answerFile(this.#takeFile(exchange, message) ? FILE_TAKEN : FILE_REFUSED);
        return;
      default:
        assertNever(message);
    }
  }

  /** The worker is done with the exchange in this place, or lost. */
  finish(place: Place, error: LidoError | null): void {
    place.exchange?.finish(error);
    this.#events.finished(place);
  }

  /** From here on the response is nobody's but the file's: the worker is done with it, whatever becomes of the client. */
  #takeFile(
    exchange: Exchange,
    [, , head, fd, position, length]: Extract<FromWorker, readonly ['file', ...unknown[]]>,
  ): boolean {
    if (!exchange.isSent) return true;
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

  /** Null for blocks that nobody wants any more. */
  readonly #writerOf = (id: number): ResponseWriter | null => {
    const place = this.#places.find(id);
    if (place === null || place.exchange === null || !place.exchange.isSent) return null;
    place.lastSign = 0;
    return place.exchange.writer;
  };

  #listen(place: Place, exchange: Exchange): void {
    const { id } = place;
    const ring = this.#ring;
    if (ring !== null) exchange.writer.onceClosed(() => ring.releaseAll(id));
    exchange.writer.listen({
      // The socket may take the last bytes when the place is somebody else's already.
      acknowledge: (bytes) => {
        if (place.id === id) place.acknowledge(bytes);
      },
      stop: (error) => {
        this.#events.log(exchange, 'error', `${error.code}: ${error.message}`);
        place.stop();
      },
    });
  }

  #letBodyFlow(place: Place, exchange: Exchange): void {
    if (!exchange.isSent) return;
    if (exchange.body.expectsContinue) exchange.writer.writeContinue();
    const { id } = place;
    exchange.body.flowTo((chunk) => {
      const message: BodyMessage = [id, chunk];
      this.#bodies.postMessage(message, transferable(chunk));
      place.signal();
    });
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
