/**
 * Main thread. Who is let in: how many connections there may be at once, in all and from one address. Where there is no
 * such limit, there is no door.
 */
import type { Socket } from 'node:net';
import { LidoError } from '../contract/errors.js';
import { type Connection, describeSocket } from '../http/connection.js';
import { networkOf } from '../http/network.js';
import { formatLastAnswer } from '../http/wire/last-answer.js';
import type { Log } from '../log.js';
import type { Settings } from '../settings/resolve.js';
import { trustProxies } from '../settings/trusted-proxies.js';

/** Who was not let in has so long to read why. Milliseconds. */
const FAREWELL_MS = 1000;
/** So many are told why at a time; others are only ended, for each holds a descriptor as long as it is told. */
const MOST_FAREWELLS = 64;
/** The log says at most so often that some were not let in. Milliseconds. */
const LOG_PAUSE_MS = 10_000;
const RETRY_AFTER = 'Retry-After: 1\r\n';

export interface DoorOptions {
  readonly log: Log;
  /** Ends a connection that is idle; false where none is. */
  readonly makeRoom: () => boolean;
  /** Told of each connection that was not let in. */
  readonly refused: (error: LidoError) => void;
}

type DoorSettings = Pick<
  Settings,
  'maxConnections' | 'maxConnectionsPerAddress' | 'forwardedAllowIps' | 'proxyProtocol' | 'certfile'
>;

/** Null where everybody is let in. */
export function createDoor(settings: DoorSettings, options: DoorOptions): Door | null {
  return settings.maxConnections + settings.maxConnectionsPerAddress === 0
    ? null
    : new Door(settings, options);
}

export class Door {
  readonly #most: number;
  readonly #mostFromOne: number;
  /** Their connections are other people's. */
  readonly #isProxy: (address: string) => boolean;
  /** Who is at the other end is known later. */
  readonly #isProxied: boolean;
  readonly #isSecure: boolean;
  readonly #options: DoorOptions;
  #count = 0;
  readonly #counts = new Map<string, number>();
  readonly #farewells = new Set<Socket>();
  #unlogged = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: DoorSettings, options: DoorOptions) {
    this.#most = settings.maxConnections;
    this.#mostFromOne = settings.maxConnectionsPerAddress;
    this.#isProxy = trustProxies(settings.forwardedAllowIps, []).includes;
    this.#isProxied = settings.proxyProtocol;
    this.#isSecure = settings.certfile.length > 0;
    this.#options = options;
  }

  /** Counts a connection until it ends. One too many is told so and ended: then false. */
  admit(socket: Socket): boolean {
    return this.#admitToAll(socket) && (this.#isProxied || this.admitFrom(socket, describeSocket(socket)));
  }

  /** The same by its address alone, which a proxy may have told only after the connection was let in. */
  readonly admitFrom = (socket: Socket, client: Connection): boolean => {
    const network = networkOf(client.remoteAddress);
    if (!this.#isCounted(network, client.remoteAddress)) return true;
    const count = this.#counts.get(network) ?? 0;
    if (count >= this.#mostFromOne) {
      this.#refuse(socket, new LidoError('LIDO_TOO_MANY_FROM_ADDRESS', [count, network]));
      return false;
    }
    this.#countFrom(socket, network);
    return true;
  };

  /** Counts a connection that another process let in. */
  count(socket: Socket, { remoteAddress }: Connection): void {
    this.#countInAll(socket);
    const network = networkOf(remoteAddress);
    if (this.#isCounted(network, remoteAddress)) this.#countFrom(socket, network);
  }

  /** Ends what is still being told that it was not let in. */
  close(): void {
    for (const socket of this.#farewells) socket.destroy();
  }

  #admitToAll(socket: Socket): boolean {
    if (this.#most > 0 && this.#count >= this.#most && !this.#options.makeRoom()) {
      this.#refuse(socket, new LidoError('LIDO_TOO_MANY_CONNECTIONS', [this.#count]));
      return false;
    }
    this.#countInAll(socket);
    return true;
  }

  #countInAll(socket: Socket): void {
    this.#count += 1;
    socket.once('close', () => {
      this.#count -= 1;
    });
  }

  /** A Unix socket has no address. */
  #isCounted(network: string, address: string): boolean {
    return this.#mostFromOne > 0 && network !== '' && !this.#isProxy(address);
  }

  #countFrom(socket: Socket, network: string): void {
    this.#counts.set(network, (this.#counts.get(network) ?? 0) + 1);
    socket.once('close', () => {
      const left = (this.#counts.get(network) ?? 0) - 1;
      if (left > 0) this.#counts.set(network, left);
      else this.#counts.delete(network);
    });
  }

  /** A client that still sends would lose the answer if its connection were closed at once. */
  #refuse(socket: Socket, error: LidoError): void {
    this.#options.refused(error);
    this.#log(error);
    // A handshake for a farewell would cost more than what is spared.
    if (this.#isSecure || this.#farewells.size >= MOST_FAREWELLS) {
      socket.destroy();
      return;
    }
    this.#farewells.add(socket);
    const patience = setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    socket
      .on('error', () => {}) // 'close' follows
      .once('close', () => {
        clearTimeout(patience);
        this.#farewells.delete(socket);
      })
      .resume()
      .end(
        formatLastAnswer({ status: error.status ?? 503, reason: 'too many connections' }, RETRY_AFTER),
        'latin1',
      );
  }

  #log({ code, message }: LidoError): void {
    this.#unlogged += 1;
    const now = performance.now();
    if (now - this.#loggedAt < LOG_PAUSE_MS) return;
    const count = this.#unlogged;
    this.#loggedAt = now;
    this.#unlogged = 0;
    this.#options.log.warn(
      { code },
      `${count === 1 ? 'a client was' : `${count} clients were`} not let in: ${message}`,
    );
  }
}
