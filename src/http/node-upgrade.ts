/**
 * Main thread. Requests that node:http tells of by its 'upgrade' event: it has let go of their connections, and reads no
 * body. Who listens to that event gets all requests with an Upgrade field, for WebSockets or not.
 */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TakenSocket } from './request.js';

/** What a client may send before it is answered; more is left in its socket. Bytes. */
const MAX_AHEAD = 64 * 1024;

const held = new WeakMap<IncomingMessage, HeldSocket>();
const noted = new WeakMap<IncomingMessage, TakenSocket>();

export function asksNodeForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Keeps the connection of such a request, which can be answered as any other by `response`: another than its own where
 * somebody has made one already. The connection ends with it.
 */
export function holdUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  response = new ServerResponse(request),
): ServerResponse {
  response.shouldKeepAlive = false;
  if (response.socket === null) response.assignSocket(socket as Socket);
  held.set(request, new HeldSocket(socket, head, response));
  return response;
}

/** Such a request that somebody else will bring, with a response of his own: see holdAgain(). */
export function noteUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  noted.set(request, { socket, head });
}

/** Keeps the connection of a request that was noted, or is held. False where it is neither. */
export function holdAgain(request: IncomingMessage, response: ServerResponse): boolean {
  if (held.has(request)) return true;
  const upgrade = noted.get(request);
  if (upgrade === undefined) return false;
  holdUpgrade(request, upgrade.socket, upgrade.head, response);
  return true;
}

/** How to take over the connection of a request that is held; null for any other. */
export function findHeldSocket(request: IncomingMessage): (() => TakenSocket | null) | null {
  const found = held.get(request);
  return found === undefined ? null : () => found.take();
}

/** Lets node:http have a request once more, without its Upgrade field, which a server may ignore. RFC 9110, section 7.8. */
export function giveBack(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.toLowerCase() !== 'upgrade')
      text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
  const { server } = socket as Socket & { readonly server: Server };
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket);
}

/** Hears the client while it waits for its answer. */
class HeldSocket {
  readonly #socket: Duplex;
  readonly #response: ServerResponse;
  readonly #packets: Buffer[];
  #ahead: number;

  constructor(socket: Duplex, head: Buffer, response: ServerResponse) {
    this.#socket = socket;
    this.#response = response;
    this.#packets = [head];
    this.#ahead = head.length;
    socket
      .on('data', this.#keep)
      .on('end', this.#hearEnd)
      .on('drain', this.#hearDrain)
      .on('error', () => {}); // 'close' follows, which the response tells of
    response.once('finish', this.#hearEnd);
  }

  take(): TakenSocket | null {
    const socket = this.#socket;
    if (socket.destroyed || this.#response.headersSent) return null;
    socket.off('data', this.#keep).off('end', this.#hearEnd).off('drain', this.#hearDrain);
    const response = this.#response;
    response.detachSocket(socket as Socket);
    socket.once('close', () => response.emit('close'));
    socket.resume();
    return { socket, head: Buffer.concat(this.#packets) };
  }

  readonly #keep = (packet: Buffer): void => {
    this.#packets.push(packet);
    this.#ahead += packet.length;
    if (this.#ahead >= MAX_AHEAD) this.#socket.pause();
  };

  /** Either side has said all: who wants a WebSocket and ends its side is gone. */
  readonly #hearEnd = (): void => (this.#socket as Socket).destroySoon();

  /** What node:http does for connections that are its own. */
  readonly #hearDrain = (): void => {
    if (this.#response.writableNeedDrain) this.#response.emit('drain');
  };
}
