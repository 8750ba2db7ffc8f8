/** Main thread. What is refused before an application sees it; one policy for every way in. Pure. */
import type { IncomingMessage } from 'node:http';
import {
  CONNECTION_BIT,
  findCodingFault,
  findTargetFault,
  HOST_BIT,
  isHost,
  isLength,
  isToken,
  isValue,
  lookUpName,
} from './grammar.js';

export interface GateLimits {
  /** Longest request line, in bytes; 0 for no limit. */
  readonly requestLine: number;
  /** Most header fields; 0 for no limit. */
  readonly fields: number;
  /** Longest header field, name and value, in bytes; 0 for no limit. */
  readonly fieldSize: number;
  /** Largest request body, in bytes; 0 for no limit. */
  readonly maxBodySize: number;
}

/** An answer that Lido gives itself; the connection is closed after it. */
export interface Refusal {
  readonly status: number;
  /** One line for the client. */
  readonly reason: string;
  /** A field of the answer, its name and its value, that tells the client what to do instead. */
  readonly field?: readonly [name: string, value: string];
}

const SINGLE_BITS = ~CONNECTION_BIT;

/** Checks a request that node:http has parsed, or that something else made; null when it may pass. */
export function checkRequest(request: IncomingMessage, limits: GateLimits): Refusal | null {
  return checkRequestLine(request, limits) ?? checkFields(request, limits) ?? checkFraming(request, limits);
}

function checkRequestLine(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { method = '', url = '', httpVersion } = request;
  // RFC 9112, section 3: a line without a version, which node:http takes for HTTP/0.9, is malformed.
  if (request.httpVersionMajor === 0) return refuse(400, 'the request line names no version of HTTP in use');
  if (request.httpVersionMajor !== 1)
    return refuse(505, `HTTP/${httpVersion} is not served here: use HTTP/1.1`);
  if (limits.requestLine > 0 && method.length + url.length + 10 > limits.requestLine)
    return refuse(414, 'the request line is too long');
  if (!isToken(method)) return refuse(400, 'malformed method');
  if (method === 'CONNECT') return refuse(501, 'CONNECT is not served here');
  const fault = findTargetFault(method, url);
  return fault === null ? null : refuse(400, fault);
}

function checkFields(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { rawHeaders } = request;
  if (limits.fields > 0 && rawHeaders.length > limits.fields * 2)
    return refuse(431, 'too many header fields');
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    // Not node:http, but light-my-request leaves a hole for a User-Agent that is not to be sent.
    const value = rawHeaders[index + 1] ?? '';
    if (limits.fieldSize > 0 && name.length + value.length + 2 > limits.fieldSize)
      return refuse(431, 'a header field is too long');
    const field = lookUpName(name);
    if (field === null || !isValue(value)) return refuse(400, 'malformed header field');
    if (field.isDisguised) return refuse(400, `${name} poses as a field that frames`);
    const bit = field.bit & SINGLE_BITS;
    if ((seen & bit) !== 0) return refuse(400, `more than one ${name} field`);
    seen |= bit;
    if (bit === HOST_BIT && !isHost(value)) return refuse(400, 'malformed Host');
  }
  if (request.httpVersionMinor > 0 && (seen & HOST_BIT) === 0) return refuse(400, 'no Host field');
  return null;
}

/** RFC 9112, section 6: where the body ends must not be open to argument. */
function checkFraming(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { headers } = request;
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    if (length !== undefined) return refuse(400, 'both Content-Length and Transfer-Encoding');
    if (request.httpVersionMinor === 0) return refuse(400, 'no Transfer-Encoding in HTTP/1.0');
    const fault = findCodingFault(coding);
    if (fault !== null) return fault;
  }
  if (length !== undefined && !isLength(length)) return refuse(400, 'malformed Content-Length');
  if (length !== undefined && limits.maxBodySize > 0 && Number(length) > limits.maxBodySize)
    return refuse(413, 'the body is too large');
  const { expect } = headers;
  if (expect !== undefined && request.httpVersionMinor > 0 && expect.toLowerCase() !== '100-continue') {
    return refuse(417, 'no expectation but 100-continue is met here');
  }
  return null;
}

function refuse(status: number, reason: string): Refusal {
  return { status, reason };
}
