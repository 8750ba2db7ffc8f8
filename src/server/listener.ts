/** Main thread. One address that is listened on, and the connections that came from there: opened, served, ended. */
import { existsSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import net, { type AddressInfo, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { MountTable } from '../application/mounts.js';
import { LidoError } from '../contract/errors.js';
import { type HttpListener, SOCKET_OPTIONS } from '../http/wire/listener.js';
import type { Log } from '../log.js';
import { type BindAddress, formatAddress } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { createHttpListener } from './http.js';

/** A client that is heard no more for so long at the end has asked nothing that is still on its way. Milliseconds. */
const QUIET_MS = 300;
/** How often that is looked at. Milliseconds. */
const QUIET_CHECK_MS = 20;
/** Turns of the event loop without a new connection after which none is left in the kernel's queue. */
const EMPTY_TURNS = 2;
/** How long connections are taken in that never cease to come. Milliseconds. */
const LONGEST_TAKING_IN_MS = 250;

/** What net.Server has and its types lack. */
interface WithHandle {
  readonly _handle: { readonly fd: number } | null;
}

export class Listener {
  readonly #address: BindAddress;
  readonly #isAlone: boolean;
  readonly #sockets: net.Server;
  readonly #protocol: HttpListener;
  readonly #connections = new Set<Socket>();
  /** What the connections had sent when they were last looked at, those that are over included. */
  #heardBytes = 0;
  #heardAt = 0;
  #accepted = 0;

  constructor(address: BindAddress, settings: Settings, log: Log, handle: MountTable['handle']) {
    this.#address = address;
    this.#isAlone = settings.processes === 1;
    this.#protocol = createHttpListener(settings, log, handle);
    this.#sockets = net.createServer(SOCKET_OPTIONS, (socket) => this.take(socket));
  }

  /** Rejects with LIDO_CANNOT_LISTEN. */
  open(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#sockets.once('error', (error: NodeJS.ErrnoException) =>
        reject(explainBindError(error, this.#address)),
      );
      this.#sockets.listen(this.#address, () => {
        this.#sockets.removeAllListeners('error');
        resolve();
      });
    });
  }

  /** Where it listens, as a URL: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  get url(): string {
    return formatAddress(this.#address, this.#sockets.address() as AddressInfo | string | null);
  }

  /** Connections that are served. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Serves a connection. */
  take(socket: Socket): void {
    this.#accepted += 1;
    this.#connections.add(socket);
    socket.once('close', () => {
      this.#heardBytes -= socket.bytesRead;
      this.#connections.delete(socket);
    });
    this.#protocol.accept(socket);
  }

  /**
   * Ends what nobody uses, without losing a request: whoever is connected already, and is heard, gets an answer. Call it
   * when answers say `Connection: close`. Resolves when all connections are over.
   */
  async stop(): Promise<void> {
    if (this.#sockets.listening) {
      await this.#shutDoor();
      await this.#takeIn();
    }
    const closed = new Promise<void>((resolve) => void this.#sockets.close(() => resolve()));
    this.#heardAt = performance.now();
    const check = setInterval(() => this.#endIdle(), QUIET_CHECK_MS);
    await closed;
    clearInterval(check);
    this.#protocol.close();
  }

  /** Ends all connections, with what they wait for. */
  destroy(): void {
    this.#sockets.close();
    this.#protocol.close();
  }

  /** Who comes between the last look into the kernel's queue and the socket's end would be connected, and reset. */
  async #shutDoor(): Promise<void> {
    if ('path' in this.#address) {
      // Several processes share the supervisor's.
      if (this.#isAlone) await unlink(this.#address.path).catch(() => {});
      return;
    }
    const { fd } = (this.#sockets as Partial<WithHandle>)._handle ?? {};
    if (process.platform !== 'linux' || fd === undefined) return;
    const { dropNewConnections } = await import('./system-calls.js');
    dropNewConnections(fd);
  }

  /** Closing a listening socket resets the connections that wait in the kernel to be accepted. */
  async #takeIn(): Promise<void> {
    const end = performance.now() + LONGEST_TAKING_IN_MS;
    for (let empty = 0; empty < EMPTY_TURNS && performance.now() < end; empty += 1) {
      const before = this.#accepted;
      await new Promise(setImmediate);
      if (this.#accepted !== before) empty = -1;
    }
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
    }
  }
}

function explainBindError(error: NodeJS.ErrnoException, address: BindAddress): LidoError {
  if ('path' in address) return explainSocketError(error, address.path);
  const remedies: Record<string, string> = {
    EADDRINUSE: 'another process listens there: stop it, or choose another with --bind',
    EACCES: 'this user may not: choose a port above 1023 or another path with --bind',
    EADDRNOTAVAIL: 'this machine has no such address: choose one of its own, or 0.0.0.0, with --bind',
    ENOTFOUND: 'the name does not resolve: use an address with --bind',
  };
  const code = error.code ?? error.message;
  return new LidoError(
    'LIDO_CANNOT_LISTEN',
    [formatAddress(address, null), code, remedies[code] ?? 'choose another address with --bind'],
    { cause: error },
  );
}

/** libuv says EACCES also where there is no folder. */
function explainSocketError(error: NodeJS.ErrnoException, path: string): LidoError {
  const folder = dirname(path);
  const isThere = existsSync(folder);
  const code = isThere ? (error.code ?? error.message) : 'ENOENT';
  const remedies: Record<string, string> = {
    ENOENT: `there is no folder ${folder}: make it, or choose another path with --bind`,
    EACCES: `this user may not write to ${folder}: change that, or choose another path with --bind`,
    EADDRINUSE:
      'another process listens there, or it is a file that is no socket: remove it, or choose another',
  };
  const remedy = remedies[code] ?? 'choose another path with --bind';
  return new LidoError('LIDO_CANNOT_LISTEN', [`unix:${path}`, code, remedy], { cause: error });
}
