/** Main thread. Tells a client that has said all it wants to say from one that is gone. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { sinceLastRequest } from './connection.js';

/** A client that ends its side as soon as it has asked does so within this time. Milliseconds. */
const HALF_CLOSE_MS = 1000;

/** What node:http has and its types lack: the answer to what was asked before the end is still sent. */
type WithHalfOpen = Server & { httpAllowHalfOpen: boolean };

/**
 * Answers clients that end their side of the connection behind their request, as socat and `nc -N` do. To TCP they look
 * the same as clients that went away: an end that comes later is taken for that, and what they asked for is given up.
 */
export function answerHalfClosed(server: Server): void {
  (server as WithHalfOpen).httpAllowHalfOpen = true;
  server.on('connection', (socket: Socket) => {
    socket.once('end', () => {
      if (sinceLastRequest(socket) > HALF_CLOSE_MS) socket.end();
    });
  });
}
