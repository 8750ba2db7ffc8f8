/** Main thread. Drops clients that take nothing of what was written to them, the end of a complete response included. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** How often connections are looked at. Milliseconds. */
const CHECK_MS = 1000;

/** A connection that has not taken all yet. */
interface Stall {
  readonly bytesWritten: number;
  readonly since: number;
}

/**
 * Looks after a server's connections until it closes. `timeoutMs`: how long what was written may lie here untaken; 0 for
 * no limit. The response writer sees to a worker that waits for its client; nobody waits for what follows the last block.
 */
export function dropStalledClients(server: Server, timeoutMs: number): void {
  if (timeoutMs === 0) return;
  const sockets = new Map<Socket, Stall | null>();
  server.on('connection', (socket: Socket) => {
    sockets.set(socket, null);
    socket.once('close', () => sockets.delete(socket));
  });
  const check = setInterval(() => {
    const now = performance.now();
    for (const [socket, stall] of sockets) sockets.set(socket, look(socket, stall, now, timeoutMs));
  }, CHECK_MS);
  check.unref();
  server.once('close', () => clearInterval(check));
}

function look(socket: Socket, stall: Stall | null, now: number, timeoutMs: number): Stall | null {
  const { bytesWritten, writableLength } = socket;
  if (writableLength === 0) return null;
  if (stall === null || stall.bytesWritten !== bytesWritten) return { bytesWritten, since: now };
  if (now - stall.since >= timeoutMs) socket.destroy();
  return stall;
}
