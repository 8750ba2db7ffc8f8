/** Main thread. One address that is listened on, and the connections that came from there: opened, served, ended. */
import { once } from 'node:events';
import { unlink } from 'node:fs/promises';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import type { MountTable } from '../application/mounts.js';
import type { Luggage } from '../http/departure.js';
import { type HttpListener, SOCKET_OPTIONS } from '../http/wire/listener.js';
import type { Log } from '../log.js';
import { type BindAddress, formatAddress, type ListenAddress } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { explainBindError, openAbstract, removeStaleSocket, setSocketMode } from './bind.js';
import type { Door } from './door.js';
import { createHttpListener } from './http.js';
import {
  freeAddress,
  handleOf,
  type ListeningHandle,
  shutAbstractDoor,
  shutDoor,
  takeIn,
} from './listening.js';
import type { Certificates } from './tls.js';

/** A client that is heard no more for so long at the end has asked nothing that is still on its way. Milliseconds. */
const QUIET_MS = 300;
/** How often that is looked at. Milliseconds. */
const QUIET_CHECK_MS = 20;

/** What net.Server.listen() takes; Node's types know not all of it. */
type ListenTarget = (ListenAddress & { readonly reusePort?: boolean }) | ListeningHandle;

/** What speaks TLS knows the socket below it; Node's types do not tell. */
type SecureSocket = TLSSocket & { readonly _parent?: Socket };

export class Listener {
  readonly #address: BindAddress;
  readonly #settings: Settings;
  readonly #sockets: net.Server;
  readonly #protocol: HttpListener;
  readonly #tls: TlsServer | null;
  /** Null where everybody is let in. */
  readonly #door: Door | null;
  readonly #connections = new Set<Socket>();
  /** Of these, those that have yet to agree on how to speak TLS. */
  readonly #handshakes = new Set<Socket>();
  /** What the connections had sent when they were last looked at. */
  #heardBytes = 0;
  #heardAt = 0;
  #bytesOfClosed = 0;
  #whenEmpty: (() => void) | null = null;

  /** Speaks TLS where there are certificates. `index`: the address's, where connections may leave for other processes. */
  constructor(
    address: BindAddress,
    index: number | null,
    settings: Settings,
    log: Log,
    mounts: MountTable,
    certificates: Certificates | null,
    door: Door | null,
  ) {
    this.#address = address;
    this.#settings = settings;
    this.#door = door;
    this.#tls = certificates?.createServer() ?? null;
    this.#tls?.on('secureConnection', (socket: SecureSocket) => {
      if (socket._parent !== undefined) this.#handshakes.delete(socket._parent);
      socket.allowHalfOpen = SOCKET_OPTIONS.allowHalfOpen;
      this.#protocol.accept(socket);
    });
    // What a client and this process have agreed on for TLS cannot leave.
    const leavesFrom = certificates === null ? index : null;
    this.#protocol = createHttpListener(settings, leavesFrom, log, mounts, door);
    this.#sockets = net.createServer(SOCKET_OPTIONS, (socket) => this.take(socket));
  }

  /** Listens at its address, or on a socket that others have too. Rejects with LIDO_CANNOT_LISTEN. */
  async open(shared: ListeningHandle | null = null): Promise<void> {
    try {
      await this.#listen(shared ?? (await this.#chooseTarget()));
      if (shared === null) setSocketMode(this.#address, this.#settings.unixMode);
    } catch (error) {
      throw explainBindError(error as NodeJS.ErrnoException, this.#address);
    }
  }

  async #chooseTarget(): Promise<ListenTarget> {
    await removeStaleSocket(this.#address);
    const address = await openAbstract(this.#address);
    return 'host' in address ? { ...address, reusePort: this.#settings.reusePort } : address;
  }

  async #listen(target: ListenTarget): Promise<void> {
    const sockets = this.#sockets.listen(target, this.#settings.socketBacklog);
    await once(sockets, 'listening');
  }

  /** Where it listens, as a URL: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  get url(): string {
    const url = formatAddress(this.#address, this.#sockets.address() as AddressInfo | string | null);
    return this.#tls === null ? url : url.replace(/^http:/, 'https:');
  }

  /** Connections that are served. */
  get connections(): number {
    return this.#connections.size;
  }

  /** What was written to all of them; it stands still while nobody is answered. Bytes. */
  get bytesWritten(): number {
    let bytes = this.#bytesOfClosed;
    for (const socket of this.#connections) bytes += socket.bytesWritten;
    return bytes;
  }

  /** Serves a connection, with what another process has read of it. */
  take(socket: Socket, luggage: Luggage | null = null): void {
    if (luggage !== null) this.#door?.count(socket, luggage.client);
    else if (this.#door !== null && !this.#door.admit(socket)) return;
    this.#connections.add(socket);
    socket.once('close', () => {
      this.#bytesOfClosed += socket.bytesWritten;
      this.#connections.delete(socket);
      this.#handshakes.delete(socket);
      if (this.#connections.size === 0) this.#whenEmpty?.();
    });
    if (this.#tls !== null) {
      this.#handshakes.add(socket);
      // A client that ends its side amid the handshake is gone, and has asked nothing that it could wait for.
      socket.allowHalfOpen = false;
      this.#tls.emit('connection', socket);
    } else if (luggage !== null) this.#protocol.takeOver(socket, luggage);
    else this.#protocol.accept(socket);
  }

  /** Serves on a connection that was to leave. */
  takeBack(socket: Socket, luggage: Luggage): void {
    this.#protocol.takeBack(socket, luggage);
  }

  /** The connection that has been idle for longest; null where none is. */
  findIdlest(): ReturnType<HttpListener['findIdlest']> {
    return this.#protocol.findIdlest();
  }

  /** Takes no more connections from a socket that others have too: they take what waits there. */
  leave(): void {
    this.#sockets.close();
  }

  /**
   * Ends what nobody uses, without losing a request: whoever is connected already, and is heard, gets an answer. Call it
   * when answers say `Connection: close`. Resolves when all connections are over.
   */
  async stop(isLast: boolean): Promise<void> {
    const handle = handleOf(this.#sockets);
    // What waits in a socket that outlives this process is for whoever is started next.
    if (isLast && handle !== null && !('fd' in this.#address)) {
      if ('path' in this.#address) await unlink(this.#address.path).catch(() => {});
      else if ('abstract' in this.#address) await shutAbstractDoor(this.#sockets, handle);
      else await shutDoor(handle);
      await takeIn(this.#sockets);
      await freeAddress(handle);
    }
    this.#sockets.close();
    this.#heardAt = performance.now();
    const check = setInterval(() => this.#endIdle(), QUIET_CHECK_MS);
    if (this.#connections.size > 0)
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    clearInterval(check);
    this.#protocol.close();
  }

  /** Ends all connections, with what they wait for. */
  destroy(): void {
    // Those amid a handshake, which nobody else knows, too.
    for (const socket of this.#connections) socket.destroy();
    this.#sockets.close();
    this.#protocol.close();
  }

  /** A request may be on its way on a connection that looks idle: it is ended once none is heard for a while. */
  #endIdle(): void {
    const now = performance.now();
    let bytes = 0;
    for (const socket of this.#connections) bytes += socket.bytesRead;
    if (bytes !== this.#heardBytes) {
      this.#heardBytes = bytes;
      this.#heardAt = now;
    } else if (now - this.#heardAt >= QUIET_MS) {
      this.#protocol.closeIdle();
      for (const socket of this.#handshakes) socket.destroy();
    }
  }
}
