/** Main thread. Answers what node:http's parser refuses, and what it does not take for a request. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { failBody, whenAnswered } from './connection.js';

/** What node:http hands over with a parse error. */
interface ClientError extends Error {
  readonly code?: string;
  /** The bytes among which the error was found. */
  readonly rawPacket?: Buffer;
}

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Nothing is to be said: the client is gone, or sent more after it had asked for the connection's end. */
const SILENT = new Set(['ECONNRESET', 'EPIPE', 'HPE_CLOSED_CONNECTION']);

/** A request line that is well formed but for its version. RFC 9112, section 2.3. */
const OTHER_VERSION = /^(?:[A-Z]+ \S+ HTTP\/(?!1\.[01]\r)\d\.\d\r\n|PRI \* HTTP\/2\.0\r\n)/;

/** How long a client may take to close its side after the last answer. RFC 9112, section 9.6. */
const LINGER_MS = 1000;

/** A 'clientError' listener: one short answer, after those to earlier requests, then the end of the connection. */
export function answerClientError(error: ClientError, socket: Duplex): void {
  const status = chooseStatus(error);
  if (failBody(socket, status)) return;
  whenAnswered(socket, () => {
    if (SILENT.has(error.code ?? '') || !socket.writable) socket.destroy();
    else endWith(status, socket);
  });
}

/** A 'connect' listener: Lido is no proxy. RFC 9110, section 9.3.6. */
export function answerConnect(_request: unknown, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  whenAnswered(socket, () => endWith(501, socket));
}

function chooseStatus({ code = '', rawPacket }: ClientError): number {
  const head = rawPacket?.toString('latin1', 0, 16_384) ?? '';
  if (code === 'HPE_HEADER_OVERFLOW') return head.includes('\r\n') ? 431 : 414;
  if (OTHER_VERSION.test(head)) return 505;
  return STATUS_BY_CODE[code] ?? 400;
}

/** Says the status, then waits for the client's end: closing at once would reset the connection and lose the answer. */
function endWith(status: number, socket: Duplex): void {
  const body = `${status} ${STATUS_CODES[status]}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  socket.resume();
  const patience = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(patience));
}
