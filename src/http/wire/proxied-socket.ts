/** Main thread. What a proxy says of a connection before the client speaks: read, and taken off. */
import type { Socket } from 'node:net';
import { type Connection, describeSocket } from '../connection.js';
import { INCOMPLETE, MALFORMED, type ProxyHeader, parseProxyHeader } from '../proxy-protocol.js';

export interface ProxyOptions {
  /** Whose word is taken: an address, '' for a Unix socket. From others no header is looked for. */
  readonly trusts: (address: string) => boolean;
  /** Told of a trusted peer that said something else, or nothing in time; its connection is ended. */
  readonly refused: (peer: Connection) => void;
}

/** Hands the socket on once it is known who is at its other end; nothing is lost of what the client has sent. */
export function readProxyHeader(
  socket: Socket,
  { trusts, refused }: ProxyOptions,
  timeoutMs: number,
  accept: (socket: Socket, client: Connection) => void,
): void {
  const peer = describeSocket(socket);
  if (!trusts(peer.remoteAddress)) {
    accept(socket, peer);
    return;
  }
  let bytes = Buffer.alloc(0);
  const refuse = () => {
    stop();
    socket.destroy();
    refused(peer);
  };
  const timer = timeoutMs === 0 ? null : setTimeout(refuse, timeoutMs);
  const stop = () => {
    if (timer !== null) clearTimeout(timer);
    socket.off('data', take).off('close', stop).off('end', end);
  };
  // A health check that connects and goes says nothing, and means nothing.
  const end = () => socket.end();
  const take = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const header = parseProxyHeader(bytes);
    if (header === INCOMPLETE) return;
    if (header === MALFORMED) {
      refuse();
      return;
    }
    stop();
    socket.pause();
    if (header.length < bytes.length) socket.unshift(bytes.subarray(header.length));
    accept(socket, describeClient(peer, header));
    socket.resume();
  };
  socket.on('data', take).once('close', stop).once('end', end);
  // Whoever gets the socket listens, too; until then nobody does.
  socket.on('error', () => {});
}

function describeClient(peer: Connection, { ends }: ProxyHeader): Connection {
  if (ends === null) return peer;
  const { remoteAddress, remotePort, serverAddress, serverPort } = ends;
  return { ...peer, remoteAddress, remotePort, serverName: serverAddress, serverPort };
}
