/** Main thread. Ends a connection so that its last answer is not lost. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long a client may go on sending what nobody reads, before its connection is closed. RFC 9112, section 9.6. */
export const LINGER_MS = 2000;

/**
 * Ends the connection after a response whose bytes were all written: the client sees its end at once, while what is left
 * of the request is read and dropped. A connection that is closed while bytes are unread is reset, and the client may lose
 * an answer that it has not read yet.
 */
export function lingerAfter(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  // The answers to earlier requests come first; and inject() has two sockets, neither of which is one.
  const isCurrent = response.socket === socket;
  if (isCurrent) socket.end();
  drainRequest(request, () => (isCurrent ? socket.destroySoon() : response.end()));
}

/**
 * Reads and drops what is left of a request's body, then calls back. A connection that is closed while bytes are unread
 * is reset, and the client may lose an answer that it has not read yet.
 */
export function drainRequest(request: IncomingMessage, drained: () => void): void {
  const finish = () => {
    clearTimeout(patience);
    request.off('end', finish).off('close', finish);
    drained();
  };
  const patience = setTimeout(finish, LINGER_MS);
  request.on('end', finish).on('close', finish).resume();
}
