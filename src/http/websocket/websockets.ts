/** Main thread. The WebSockets of one application: who may open one, and those that are open. */
import type { Budget } from '../budget.js';
import type { Connection } from '../connection.js';
import type { Refusal } from '../gate.js';
import type { HttpRequest } from '../request.js';
import { WebSocketConnection, type WebSocketEvents } from './connection.js';
import { findHandshakeFault } from './handshake.js';
import { type OpenerOptions, WebSocketOpener } from './opener.js';
import { isOriginAllowed } from './origins.js';
import { type WatchOptions, WebSocketWatch } from './watch.js';

export interface WebSocketOptions extends OpenerOptions, WatchOptions {
  /** Whose pages may ask, see isOriginAllowed(); empty for everybody's. */
  readonly origins: readonly string[];
  /** Where what a client makes the process hold is counted. */
  readonly budget: Budget;
}

export class WebSockets {
  readonly #origins: readonly string[];
  readonly #budget: Budget;
  readonly #opener: WebSocketOpener;
  readonly #watch: WebSocketWatch;

  constructor({ origins, budget, maxMessage, deflate, ...limits }: WebSocketOptions) {
    this.#origins = origins;
    this.#budget = budget;
    this.#opener = new WebSocketOpener({ maxMessage, deflate });
    this.#watch = new WebSocketWatch(limits);
  }

  /** Those that are open. */
  get size(): number {
    return this.#watch.size;
  }

  /** Why a request for a WebSocket is refused before the application sees it; null where it is not. */
  findFault(request: HttpRequest, client: Connection): Refusal | null {
    const fault = findHandshakeFault(request);
    if (fault !== null || isOriginAllowed(request, client, this.#origins)) return fault;
    return { status: 403, reason: 'pages of this origin may not open a WebSocket here' };
  }

  /** Accepts one, with these fields: names and values. Null where the client is gone. */
  open(request: HttpRequest, fields: readonly string[], events: WebSocketEvents): WebSocketConnection | null {
    const opened = this.#opener.open(request, fields);
    if (opened === null) return null;
    const connection: WebSocketConnection = new WebSocketConnection(
      opened.webSocket,
      opened.socket,
      this.#budget,
      {
        receive: events.receive,
        acknowledge: events.acknowledge,
        closed: (code, reason) => {
          this.#watch.delete(connection);
          events.closed(code, reason);
        },
      },
    );
    this.#watch.add(connection);
    return connection;
  }

  /** Begins to close all of them. */
  closeAll(code: number): void {
    this.#watch.closeAll(code);
  }
}
