/** Main thread. What is refused before an application sees it; one policy for every way in. Pure. */
import type { IncomingMessage } from 'node:http';

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
}

/** RFC 9110, section 5.6.2: a method, a field's name. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, section 5.5. A NUL would end a value on its way to a worker, and what is no byte cannot go there. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** RFC 9110, section 7.2 and RFC 3986, section 3.2: a name or a bracketed address, and a port. */
const HOST =
  /^(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::(?:\d{0,4}|[0-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?$/;
/** It would be decoded in PATH_INFO; a query stays encoded. */
const NUL_IN_PATH = /^[^?]*%00/;
const ABSOLUTE = /^https?:\/\/([^/?]*)/i;

/** Fields of which a second one makes the request ambiguous, each with a bit of its own. RFC 9110, section 5.3. */
const HOST_BIT = 1;
const SINGLE: ReadonlyMap<string, number> = new Map([
  ['host', HOST_BIT],
  ['content-length', 2],
  ['content-type', 4],
  ['transfer-encoding', 8],
  ['expect', 16],
  ['authorization', 32],
]);
const NO_TOKEN = -1;
/** Clients choose names freely, so the cache must end somewhere. */
const MAX_CACHED_NAMES = 1024;
const bitsByName = new Map<string, number>();

/** Checks a request that node:http has parsed, or that something else made; null when it may pass. */
export function checkRequest(request: IncomingMessage, limits: GateLimits): Refusal | null {
  return checkRequestLine(request, limits) ?? checkFields(request, limits) ?? checkFraming(request, limits);
}

/** Whether a text may stand in a Host field. */
export function isHost(text: string): boolean {
  return HOST.test(text);
}

function checkRequestLine(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { method = '', url = '', httpVersion } = request;
  // RFC 9112, section 3: a line without a version, which node:http takes for HTTP/0.9, is malformed.
  if (request.httpVersionMajor === 0) return refuse(400, 'the request line names no version of HTTP in use');
  if (request.httpVersionMajor !== 1)
    return refuse(505, `HTTP/${httpVersion} is not served here: use HTTP/1.1`);
  if (limits.requestLine > 0 && method.length + url.length + 10 > limits.requestLine)
    return refuse(414, 'the request line is too long');
  if (!TOKEN.test(method)) return refuse(400, 'malformed method');
  if (method === 'CONNECT') return refuse(501, 'CONNECT is not served here');
  return checkTarget(method, url);
}

/** RFC 9112, section 3.2. */
function checkTarget(method: string, url: string): Refusal | null {
  for (let index = 0; index < url.length; index += 1) {
    const code = url.charCodeAt(index);
    if (code === 0x23) return refuse(400, 'a target has no fragment');
    if (code <= 0x20 || code >= 0x7f) return refuse(400, 'malformed target');
  }
  if (url.includes('%00') && NUL_IN_PATH.test(url)) return refuse(400, 'a path holds no NUL');
  if (url.charCodeAt(0) === 0x2f) return null;
  if (url === '*') return method === 'OPTIONS' ? null : refuse(400, 'the target * belongs to OPTIONS');
  return isHost(ABSOLUTE.exec(url)?.[1] ?? '') ? null : refuse(400, 'malformed target');
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
    if (NOT_IN_VALUE.test(value)) return refuse(400, 'malformed header field');
    const bit = bitsByName.get(name) ?? findBit(name);
    if (bit === 0) continue;
    if (bit === NO_TOKEN) return refuse(400, 'malformed header field');
    if ((seen & bit) !== 0) return refuse(400, `more than one ${name} field`);
    seen |= bit;
    if (bit === HOST_BIT && !isHost(value)) return refuse(400, 'malformed Host');
  }
  if (request.httpVersionMinor > 0 && (seen & HOST_BIT) === 0) return refuse(400, 'no Host field');
  return null;
}

/** The bit of a field that may come once, 0 for others, NO_TOKEN for what is no name. */
function findBit(name: string): number {
  if (!TOKEN.test(name)) return NO_TOKEN;
  const bit = SINGLE.get(name.toLowerCase()) ?? 0;
  if (bitsByName.size < MAX_CACHED_NAMES) bitsByName.set(name, bit);
  return bit;
}

/** RFC 9112, section 6: where the body ends must not be open to argument. */
function checkFraming(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { headers } = request;
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    if (length !== undefined) return refuse(400, 'both Content-Length and Transfer-Encoding');
    if (request.httpVersionMinor === 0) return refuse(400, 'no Transfer-Encoding in HTTP/1.0');
    if (coding === '') return refuse(400, 'an empty Transfer-Encoding');
    if (coding.toLowerCase() !== 'chunked')
      return refuse(501, 'no transfer coding but chunked is served here');
  }
  if (length !== undefined && !/^\d+$/.test(length)) return refuse(400, 'malformed Content-Length');
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
