/** Main thread. [8] What a worker says of its WebSockets ► their clients, and what those say ► the worker's inbox. */
import { LidoError } from '../contract/errors.js';
import { WEBSOCKET_OVERHEAD } from '../contract/protocol.js';
import { BINARY, CLOSED, TEXT } from '../contract/ring.js';
import { buildErrorPage } from '../http/error-page.js';
import { parseHead } from '../http/response-head.js';
import type { WebSocketEvents } from '../http/websocket/connection.js';
import type { Exchange } from './exchange.js';
import type { Inbox } from './inbox.js';
import type { Slot } from './slots.js';

/** RFC 9110, section 15.5.4. ASGI has it for a WebSocket that is closed before it was accepted. */
const FORBIDDEN = 403;

export class WebSocketReceiver {
  readonly #inbox: Inbox;
  /** Of messages that have not come whole, by the ids of their requests. */
  readonly #parts = new Map<number, Uint8Array[]>();

  constructor(inbox: Inbox) {
    this.#inbox = inbox;
  }

  accept(slot: Slot, exchange: Exchange, wire: string): void {
    slot.answer = 'open';
    if (!exchange.isSent || exchange.webSockets === null) return;
    const head = parseHead(wire);
    if (head.fault !== undefined) {
      exchange.detach();
      slot.stop();
      exchange.fail(new LidoError('LIDO_MALFORMED_HEADER', [head.fault]));
      return;
    }
    const webSocket = exchange.webSockets.open(exchange.request, head.fields, this.#listen(slot, exchange));
    // Where the client is gone, that is told by the end of its connection.
    if (webSocket === null) return;
    exchange.webSocket = webSocket;
    exchange.writer.switchProtocols(head);
  }

  keepPart(id: number, bytes: Uint8Array): void {
    const parts = this.#parts.get(id);
    if (parts === undefined) this.#parts.set(id, [bytes]);
    else parts.push(bytes);
  }

  send(slot: Slot, { webSocket }: Exchange, isText: boolean, last: Uint8Array): void {
    const parts = this.#parts.get(slot.id);
    this.#parts.delete(slot.id);
    webSocket?.send(parts === undefined ? last : Buffer.concat([...parts, last]), isText);
  }

  /** Before it was accepted this is the answer to the handshake. */
  close(slot: Slot, exchange: Exchange, code: number, reason: string): void {
    const { webSocket, writer, request } = exchange;
    if (webSocket !== null) webSocket.close(code, reason);
    else if (exchange.isSent && slot.answer === 'awaited') {
      const error = new LidoError('LIDO_REQUEST_REFUSED', [reason], { status: FORBIDDEN });
      writer.writeError(error, buildErrorPage(FORBIDDEN, '', request.prefersHtml));
    }
    slot.answer = 'whole';
  }

  /** The request is over in the worker. */
  forget(id: number): void {
    this.#parts.delete(id);
  }

  #listen(slot: Slot, exchange: Exchange): WebSocketEvents {
    const { id } = slot;
    // The client may have the last word when the slot is somebody else's already.
    const tell = (act: () => void) => {
      if (slot.exchange === exchange) act();
    };
    return {
      receive: (bytes, isText) => tell(() => this.#inbox.put(isText ? TEXT : BINARY, id, '', bytes)),
      acknowledge: (bytes) => tell(() => slot.acknowledge(bytes + WEBSOCKET_OVERHEAD)),
      closed: (code, reason) =>
        tell(() => {
          this.#inbox.put(CLOSED, id, String(code), Buffer.from(reason));
          if (exchange.isSent) exchange.holder?.giveUp(exchange);
        }),
    };
  }
}
