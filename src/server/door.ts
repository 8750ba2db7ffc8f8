/**
 * Main thread. Who is let in: how many connections there may be at once, in all, from one address, and by the descriptors that the
 * process may have. Where there is no such limit, there is no door.
 */
import type { Socket } from 'node:net';
import { LidoError } from '../contract/errors.js';
import { type Connection, describeSocket } from '../http/connection.js';
import { networkOf } from '../http/network.js';
import { descriptorOf } from '../http/wire/descriptor.js';
import { formatLastAnswer } from '../http/wire/last-answer.js';
import type { Log } from '../log.js';
import type { Settings } from '../settings/resolve.js';
import { trustProxies } from '../settings/trusted-proxies.js';
import { type DescriptorLimit, readDescriptorLimit } from './descriptors.js';
import { Tally } from './tally.js';

/** Who was not let in has so long to read why. Milliseconds. */
const FAREWELL_MS = 1000;
/** So many are told why at a time; others are only ended, for each holds a descriptor as long as it is told. */
const MOST_FAREWELLS = 64;
/** So many idle connections are ended at a time where descriptors run out: the next few find room. */
const MOST_ENDED = 64;
/** Where descriptors run out, how many there may be is looked at again at most so often. Milliseconds. */
const READ_AGAIN_MS = 1000;
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
  const descriptors = readDescriptorLimit();
  const isOpen = settings.maxConnections + settings.maxConnectionsPerAddress === 0;
  return isOpen && descriptors.most === Number.POSITIVE_INFINITY
    ? null
    : new Door(settings, descriptors, options);
}

export class Door {
  readonly #most: number;
  readonly #mostFromOne: number;
  /** Their connections are other people's. */
  readonly #isProxy: (address: string) => boolean;
  /** Who is at the other end is known later. */
  readonly #isProxied: boolean;
  readonly #isSecure: boolean;
  #descriptors: DescriptorLimit;
  #descriptorsReadAt = performance.now();
  readonly #options: DoorOptions;
  #count = 0;
  readonly #counts = new Map<string, number>();
  readonly #farewells = new Set<Socket>();
  readonly #refused = new Tally();
  readonly #ended = new Tally();

  constructor(settings: DoorSettings, descriptors: DescriptorLimit, options: DoorOptions) {
    this.#most = settings.maxConnections;
    this.#mostFromOne = settings.maxConnectionsPerAddress;
    this.#isProxy = trustProxies(settings.forwardedAllowIps, []).includes;
    this.#isProxied = settings.proxyProtocol;
    this.#isSecure = settings.certfile.length > 0;
    this.#descriptors = descriptors;
    this.#options = options;
  }

  /** Counts a connection until it ends. One too many is told so and ended: then false. */
  admit(socket: Socket): boolean {
    if (!this.#admitToProcess(socket) || !this.#admitToAll(socket)) return false;
    return this.#mostFromOne === 0 || this.#isProxied || this.admitFrom(socket, describeSocket(socket));
  }

  /** The same by its address alone, which a proxy may have told only after the connection was let in. */
  readonly admitFrom = (socket: Socket, client: Connection): boolean => {
    if (this.#mostFromOne === 0) return true;
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
    if (this.#mostFromOne === 0) return;
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

  /**
   * A descriptor of those that are kept is lent where idle connections were ended for it, so that the next ones are free; and no
   * more than half of them are.
   */
  #admitToProcess(socket: Socket): boolean {
    const descriptor = descriptorOf(socket);
    if (!this.#isOver(descriptor)) return true;
    this.#readDescriptorsAgain();
    if (!this.#isOver(descriptor)) return true;
    const { most, kept } = this.#descriptors;
    const over = descriptor - (most - kept);
    const ended = this.#endIdle(Math.min(kept, MOST_ENDED));
    const error = new LidoError('LIDO_NO_DESCRIPTORS', [most - kept, most]);
    if (ended > 0) this.#log(this.#ended, ended, 'idle and ended for others', error);
    if (ended > 0 && over < kept / 2) return true;
    this.#refuse(socket, error);
    return false;
  }

  #isOver(descriptor: number): boolean {
    const { most, kept } = this.#descriptors;
    return descriptor >= most - kept;
  }

  /** Who is told that the limit is too low may raise it for the process that runs: prlimit(1). */
  #readDescriptorsAgain(): void {
    const now = performance.now();
    if (now - this.#descriptorsReadAt < READ_AGAIN_MS) return;
    this.#descriptorsReadAt = now;
    const limit = readDescriptorLimit();
    // Where not even one is left to read it by, the system tells nothing.
    if (Number.isFinite(limit.most)) this.#descriptors = limit;
  }

  #endIdle(most: number): number {
    let ended = 0;
    while (ended < most && this.#options.makeRoom()) ended += 1;
    return ended;
  }

  #countInAll(socket: Socket): void {
    if (this.#most === 0) return;
    this.#count += 1;
    socket.once('close', () => {
      this.#count -= 1;
    });
  }

  /** A Unix socket has no address. */
  #isCounted(network: string, address: string): boolean {
    return network !== '' && !this.#isProxy(address);
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
    this.#log(this.#refused, 1, 'not let in', error);
    // A handshake for a farewell would cost more than what is spared.
    if (this.#isSecure || this.#farewells.size >= Math.min(MOST_FAREWELLS, this.#descriptors.kept / 2)) {
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

  #log(tally: Tally, count: number, what: string, { code, message }: LidoError): void {
    const all = tally.add(count);
    if (all === null) return;
    this.#options.log.warn(
      { code },
      `${all === 1 ? 'a client was' : `${all} clients were`} ${what}: ${message}`,
    );
  }
}
