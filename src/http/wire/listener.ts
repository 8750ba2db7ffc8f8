/** Main thread. All connections that Lido speaks HTTP/1.1 on, over whatever sockets it is given. */
import type { Socket } from 'node:net';
import { type Connection, describeSocket } from '../connection.js';
import type { Luggage } from '../departure.js';
import { HttpConnection } from './connection.js';
import type { ConnectionOptions } from './connection-options.js';
import { type ProxyOptions, readProxyHeader } from './proxied-socket.js';
import { readOn } from './stop-reading.js';

/** How often connections are looked at, at most and at least: a quarter of the shortest time-out in between. Milliseconds. */
const LONGEST_CHECK_MS = 1000;
const SHORTEST_CHECK_MS = 20;

/** What the sockets need where they are accepted: net.createServer(SOCKET_OPTIONS), and the like for TLS. */
export const SOCKET_OPTIONS = {
  // A client that ends its side behind its request still gets its answer.
  allowHalfOpen: true,
  noDelay: true,
  highWaterMark: 64 * 1024,
} as const;

export interface ListenerOptions extends ConnectionOptions {
  /** Null where nobody speaks the PROXY protocol. */
  readonly proxies: ProxyOptions | null;
  /** Asked of a client that a proxy has told of; who is not let in is ended by whom it asks. Null where everybody is. */
  readonly admits: ((socket: Socket, client: Connection) => boolean) | null;
}

export class HttpListener {
  readonly #options: ListenerOptions;
  readonly #connections = new Set<HttpConnection>();
  readonly #periodMs: number;
  #sweep: NodeJS.Timeout | null = null;
  readonly #keepAlive: string | null;

  constructor(options: ListenerOptions) {
    const { headerTimeoutMs, keepAliveMs, sendTimeoutMs } = options;
    this.#options = options;
    this.#keepAlive = keepAliveMs >= 1000 ? `timeout=${Math.floor(keepAliveMs / 1000)}` : null;
    const shortest = Math.min(...[headerTimeoutMs, keepAliveMs, sendTimeoutMs].filter((limit) => limit > 0));
    this.#periodMs = Math.max(SHORTEST_CHECK_MS, Math.min(LONGEST_CHECK_MS, shortest / 4));
  }

  /** Connections that are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes a connection over: of TCP, a Unix socket, or TLS once it is secure. */
  readonly accept = (socket: Socket): void => {
    this.#sweep ??= setInterval(this.#check, this.#periodMs).unref();
    const { proxies, headerTimeoutMs, admits } = this.#options;
    if (proxies === null) this.#serve(socket, () => describeSocket(socket));
    else
      readProxyHeader(socket, proxies, headerTimeoutMs, (known, client) => {
        if (admits?.(known, client) ?? true) this.#serve(known, () => client);
      });
  };

  /** The connection that has been idle for longest; null where none is. */
  findIdlest(): { readonly connection: HttpConnection; readonly since: number } | null {
    let idlest: { connection: HttpConnection; since: number } | null = null;
    for (const connection of this.#connections) {
      const since = connection.idleSince;
      if (since !== null && (idlest === null || since < idlest.since)) idlest = { connection, since };
    }
    return idlest;
  }

  /** Takes over a connection that another process has begun to serve, with what that has read. */
  takeOver(socket: Socket, luggage: Luggage): void {
    this.#takeOver(socket, luggage, this.#options);
    socket.resume();
  }

  /** Serves a connection on that was to leave: nobody else has it, and it stays. */
  takeBack(socket: Socket, luggage: Luggage): void {
    this.#takeOver(socket, luggage, { ...this.#options, address: null });
    readOn(socket);
  }

  #takeOver(socket: Socket, { text, client, answered }: Luggage, options: ConnectionOptions): void {
    this.#sweep ??= setInterval(this.#check, this.#periodMs).unref();
    socket.unshift(Buffer.from(text, 'latin1'));
    this.#serve(socket, () => client, options, answered);
  }

  #serve(
    socket: Socket,
    describeClient: () => Connection,
    options: ConnectionOptions = this.#options,
    answered = 0,
  ): void {
    const connection = new HttpConnection(socket, options, this.#keepAlive, describeClient, answered);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  /** Ends the connections that wait for no answer; a request that is on its way there is lost. */
  closeIdle(): void {
    for (const connection of this.#connections) connection.closeIdle();
  }

  /** Ends all connections at once, and the sweep. */
  close(): void {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    for (const connection of this.#connections) connection.destroy();
  }

  readonly #check = (): void => {
    const now = performance.now();
    for (const connection of this.#connections)
      if (connection.isOver) this.#connections.delete(connection);
      else connection.check(now);
  };
}
