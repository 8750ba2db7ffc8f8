/**
 * Main thread of the supervisor. One listening socket, held for as long as the supervisor lives, so that connections wait
 * in the kernel's queue while processes come and go. One process takes them from there itself; among several they are
 * given out one by one, for the kernel would give one process nearly all and another next to none.
 */
import { lookup } from 'node:dns/promises';
import { link, unlink } from 'node:fs/promises';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { type BindAddress, formatAddress } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { explainBindError, openAbstract, removeStaleSocket, setSocketMode } from './bind.js';
import { freeAddress, type ListeningHandle, shutAbstractDoor, shutDoor, takeIn } from './listening.js';

/** What Node's own cluster module makes its sockets with: bound, and not yet listened on. */
interface WithHandles {
  _createServerHandle(
    address: string | null,
    port: number,
    type: 4 | 6 | -1 | null,
    fd?: number,
    flags?: number,
  ): ListeningHandle | number;
}

/** SO_REUSEPORT, where Node knows it: from 22.12 on. uv.h */
const UV_TCP_REUSEPORT = 2;

export type SocketSettings = Pick<Settings, 'unixMode' | 'socketBacklog' | 'reusePort'>;

export class SharedSocket {
  readonly #address: BindAddress;
  readonly #handle: ListeningHandle;
  readonly #backlog: number;
  #server: Server | null = null;

  private constructor(address: BindAddress, handle: ListeningHandle, backlog: number) {
    this.#address = address;
    this.#handle = handle;
    this.#backlog = backlog;
  }

  /** Binds it, or takes over the one with this descriptor. Rejects with LIDO_CANNOT_LISTEN. */
  static async bind(
    address: BindAddress,
    settings: SocketSettings,
    descriptor?: number,
  ): Promise<SharedSocket> {
    try {
      if (descriptor !== undefined)
        return new SharedSocket(
          address,
          await createHandle({ fd: descriptor }, false),
          settings.socketBacklog,
        );
      await removeStaleSocket(address);
      const handle = await createHandle(address, settings.reusePort);
      // Nobody can connect before it is listened on.
      setSocketMode(address, settings.unixMode);
      return new SharedSocket(address, handle, settings.socketBacklog);
    } catch (error) {
      throw explainBindError(error as NodeJS.ErrnoException, address);
    }
  }

  /** Where it listens, as a URL: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  get url(): string {
    return formatAddress(this.#address, addressOf(this.#handle));
  }

  /** As the setting `bind` has it, with the port that the system chose. */
  get bind(): string {
    if ('fd' in this.#address) return `fd://${this.#address.fd}`;
    return 'host' in this.#address ? this.url.slice('http://'.length) : this.url;
  }

  /** What a process can listen on by itself. */
  get handle(): ListeningHandle {
    return this.#handle;
  }

  /** Takes connections, each paused, to be given to a process. Rejects with LIDO_CANNOT_LISTEN. */
  giveOut(take: (socket: Socket) => void): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, take);
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(explainBindError(error, this.#address)));
      server.listen(this.#handle, this.#backlog, resolve);
    });
  }

  /** Lets go of it: another process has it too, and goes on with what waits in it. */
  leave(): void {
    if (this.#server === null) this.#handle.close();
    else this.#server.close();
  }

  /** Ends it. What the kernel has accepted meanwhile is given out first, or left to the process that has the socket too. */
  async close(): Promise<void> {
    if ('path' in this.#address) await unlink(this.#address.path).catch(() => {});
    if (this.#server === null) {
      this.#handle.close();
      return;
    }
    if ('host' in this.#address) await shutDoor(this.#handle);
    if ('abstract' in this.#address) await shutAbstractDoor(this.#server, this.#handle);
    // What waits in a socket that outlives this process is for whoever is started next.
    if (!('fd' in this.#address)) {
      await takeIn(this.#server);
      await freeAddress(this.#handle);
    }
    this.#server.close();
  }
}

async function createHandle(address: BindAddress, reusesPort: boolean): Promise<ListeningHandle> {
  const { _createServerHandle: create } = net as typeof net & WithHandles;
  const made = await createAny(create, address, reusesPort);
  if (typeof made !== 'number') return made;
  const code = getSystemErrorName(made);
  throw Object.assign(new Error(code), { code });
}

async function createAny(
  create: WithHandles['_createServerHandle'],
  bind: BindAddress,
  reusesPort: boolean,
): Promise<ListeningHandle | number> {
  const address = await openAbstract(bind);
  if ('path' in address) return createUnix(create, address.path);
  if ('fd' in address) return create(null, 0, null, address.fd);
  return createTcp(create, address, reusesPort);
}

/**
 * When libuv closes a Unix socket, it removes the file that the socket was bound to, though another process may have taken
 * the socket over by then. So it is bound to a name that nobody uses, and has a second one.
 */
async function createUnix(
  create: WithHandles['_createServerHandle'],
  path: string,
): Promise<ListeningHandle | number> {
  const first = join(dirname(path), `.${process.pid}`);
  const made = create(first, -1, -1);
  if (typeof made === 'number') return made;
  try {
    await link(first, path);
  } catch (error) {
    made.close();
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw Object.assign(new Error('EADDRINUSE'), { code: 'EADDRINUSE' });
  }
  await unlink(first);
  return made;
}

async function createTcp(
  create: WithHandles['_createServerHandle'],
  { host, port }: { readonly host: string; readonly port: number },
  reusesPort: boolean,
): Promise<ListeningHandle | number> {
  const { address, family } = await lookup(host);
  const made = create(address, port, family === 6 ? 6 : 4, undefined, reusesPort ? UV_TCP_REUSEPORT : 0);
  return typeof made === 'number' ? made : refuseUnbound(made);
}

/**
 * libuv tells that an address is taken only to who listens on the socket. A process that is given one without an address
 * would listen on a port that nobody knows.
 */
function refuseUnbound(handle: ListeningHandle): ListeningHandle | number {
  const failure = handle.getsockname?.({}) ?? 0;
  if (failure === 0) return handle;
  handle.close();
  return failure;
}

function addressOf(handle: ListeningHandle): AddressInfo | null {
  const address: Partial<AddressInfo> = {};
  return handle.getsockname?.(address) === 0 ? (address as AddressInfo) : null;
}
