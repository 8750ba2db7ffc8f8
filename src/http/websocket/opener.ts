/** Main thread. Answers an opening handshake with 101, and hands the connection to ws: the only file that makes its sockets. RFC 6455, section 4.2.2. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { HttpRequest } from '../request.js';

export interface OpenerOptions {
  /** The largest message of a client. Bytes. */
  readonly maxMessage: number;
  /** Compress messages for clients that can. RFC 7692. */
  readonly deflate: boolean;
}

/** A WebSocket, and what it speaks on. */
export interface OpenedWebSocket {
  readonly webSocket: WebSocket;
  readonly socket: Duplex;
}

/** How long a client may take to answer a close. Milliseconds. */
const CLOSE_TIMEOUT_MS = 10_000;
/** These are the handshake's own. */
const OWN_FIELDS = new Set([
  'connection',
  'upgrade',
  'content-length',
  'transfer-encoding',
  'sec-websocket-accept',
  'sec-websocket-extensions',
]);

export class WebSocketOpener {
  readonly #server: WebSocketServer;
  /** Of the handshake that is being answered. */
  #fields: readonly string[] = [];

  constructor({ maxMessage, deflate }: OpenerOptions) {
    // ws bounds the fragments of a message, the packets that it lies in and the pongs that wait by itself.
    const options: ServerOptions & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      maxPayload: maxMessage,
      perMessageDeflate: deflate,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    this.#server = new WebSocketServer(options);
    this.#server.on('headers', (lines) => lines.push(...formatFields(this.#fields)));
  }

  /** `fields`: names and values that the application adds, its choice of a subprotocol too. Null where the client is gone. */
  open(request: HttpRequest, fields: readonly string[]): OpenedWebSocket | null {
    const taken = request.takeSocket?.() ?? null;
    if (taken === null) return null;
    const { socket, head } = taken;
    let opened: OpenedWebSocket | null = null;
    this.#fields = fields;
    this.#server.handleUpgrade(describe(request), socket, head, (webSocket) => {
      opened = { webSocket, socket };
    });
    return opened;
  }
}

/** As much of the request as ws looks at: the subprotocol is the application's to choose. */
function describe(request: HttpRequest): IncomingMessage {
  const headers = {
    upgrade: 'websocket',
    'sec-websocket-key': request.field('sec-websocket-key'),
    'sec-websocket-version': request.field('sec-websocket-version'),
    'sec-websocket-extensions': request.field('sec-websocket-extensions'),
  };
  return { method: 'GET', url: '/', headers } as unknown as IncomingMessage;
}

function formatFields(fields: readonly string[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!OWN_FIELDS.has(name.toLowerCase())) lines.push(`${name}: ${fields[index + 1]}`);
  }
  return lines;
}
