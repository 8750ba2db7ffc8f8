/** Main thread. Answers what node:http's parser refuses, and what it does not take for a request. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { failBody, isHeldBack, whenAnswered } from './connection.js';

/** What node:http hands over with a parse error. */
interface ClientError extends Error {
  readonly code?: string;
  /** llhttp's words; the same on Node 20 to 26. */
  readonly reason?: string;
  /** The bytes among which the error was found. */
  readonly rawPacket?: Buffer;
}

/** Also of a head whose rest nobody reads for the time being: the client cannot help it then. */
const HEAD_OVERDUE = 'ERR_HTTP_REQUEST_TIMEOUT';

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  [HEAD_OVERDUE]: 408,
  HPE_PAUSED_H2_UPGRADE: 505,
};

/** Nothing is to be said: the client is gone, or sent more after it had asked for the connection's end. */
const SILENT = new Set(['ECONNRESET', 'EPIPE', 'HPE_CLOSED_CONNECTION']);

/** Says of two digits and a point that they are not served; of anything else llhttp has other words. RFC 9110, section 15.6.6. */
const OTHER_VERSION = 'Invalid HTTP version';

/** How long a client may take to close its side after the last answer. RFC 9112, section 9.6. */
const LINGER_MS = 1000;

/** A 'clientError' listener: one short answer, after those to earlier requests, then the end of the connection. */
export function answerClientError(error: ClientError, socket: Duplex): void {
  if (error.code === HEAD_OVERDUE && isHeldBack(socket)) return;
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

function chooseStatus({ code = '', reason, rawPacket }: ClientError): number {
  if (code === 'HPE_HEADER_OVERFLOW') return isWithinLine(rawPacket) ? 414 : 431;
  if (code === 'HPE_INVALID_VERSION' && reason === OTHER_VERSION) return 505;
  return STATUS_BY_CODE[code] ?? 400;
}

/** No line ended lately: of a head that long, the request line alone can be without fields to end it. */
function isWithinLine(packet: Buffer | undefined): boolean {
  return packet?.subarray(0, 16_384).includes('\r\n') === false;
}

/** Says the status, then waits for the client's end: closing at once would reset the connection and lose the answer. */
function endWith(status: number, socket: Duplex): void {
  const body = `${status} ${STATUS_CODES[status]}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  socket.resume();
  const patience = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(patience));
}
