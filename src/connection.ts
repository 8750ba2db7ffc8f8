/** Main thread. Who is at the other end of a connection, as the environ tells it. */
import type { IncomingMessage } from 'node:http';

export interface Connection {
  readonly scheme: 'http' | 'https';
  readonly serverName: string;
  readonly serverPort: string;
  readonly remoteAddress: string;
  readonly remotePort: string;
}

const kConnection = Symbol('connection');

interface RememberingSocket {
  [kConnection]?: Connection;
}

/** Describes a request's connection; the answer is kept with the socket, for keep-alive asks again and again. */
export function describeConnection(request: IncomingMessage): Connection {
  const socket = request.socket as typeof request.socket & RememberingSocket;
  socket[kConnection] ??= {
    scheme: 'encrypted' in socket ? 'https' : 'http',
    // A Unix socket has neither address nor port; PEP 3333 wants both keys to be there.
    serverName: socket.localAddress ?? 'localhost',
    serverPort: String(socket.localPort ?? ''),
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: String(socket.remotePort ?? ''),
  };
  return socket[kConnection];
}
