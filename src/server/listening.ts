/** Main thread. How a listening socket ends so that whoever was connected by then is served. */
import type { AddressInfo, Server } from 'node:net';

/** Turns of the event loop without a new connection after which none is left in the kernel's queue. */
const EMPTY_TURNS = 2;
/** How long connections are taken in that never cease to come. Milliseconds. */
const LONGEST_TAKING_IN_MS = 250;

/** The handle beneath a net.Server, which Node's types lack. */
export interface ListeningHandle {
  readonly fd?: number;
  getsockname?(result: Partial<AddressInfo>): number;
  close(): void;
}

/** The handle of a server that listens; null where it does not. */
export function handleOf(server: Server): ListeningHandle | null {
  return (server as Server & { readonly _handle?: ListeningHandle | null })._handle ?? null;
}

/**
 * Lets nobody in any more to an abstract socket, whose name is free only once it is closed. What has come already is accepted;
 * behind that its server is told of the end as of an error.
 */
export async function shutAbstractDoor(server: Server, { fd }: ListeningHandle): Promise<void> {
  if (fd === undefined) return;
  const { refuseNewConnections } = await import('../system-calls.js');
  server.on('error', () => {});
  refuseNewConnections(fd);
}

/**
 * Lets nobody in any more. Who came between the last look into the kernel's queue and the socket's end would be connected,
 * and then reset. A Unix socket's door is its path: remove that instead.
 */
export async function shutDoor({ fd }: ListeningHandle): Promise<void> {
  if (process.platform !== 'linux' || fd === undefined) return;
  const { dropNewConnections } = await import('../system-calls.js');
  dropNewConnections(fd);
}

/**
 * Ends what nobody is to listen on any more, for all who have it: a process that the application forked off has it too, and would
 * keep the address taken, and clients waiting, until its own end. Close the server in the same turn.
 */
export async function freeAddress({ fd }: ListeningHandle): Promise<void> {
  if (process.platform !== 'linux' || fd === undefined) return;
  const { refuseNewConnections } = await import('../system-calls.js');
  refuseNewConnections(fd);
}

/** Waits until the kernel's queue is empty: the end of a listening socket resets the connections in it. */
export async function takeIn(server: Server): Promise<void> {
  let isNew = false;
  const notice = () => {
    isNew = true;
  };
  server.on('connection', notice);
  const end = performance.now() + LONGEST_TAKING_IN_MS;
  for (let empty = 0; empty < EMPTY_TURNS && performance.now() < end; empty += 1) {
    isNew = false;
    await new Promise(setImmediate);
    if (isNew) empty = -1;
  }
  server.off('connection', notice);
}
