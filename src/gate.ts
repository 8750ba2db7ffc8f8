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

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// RFC 9110, section 7.2 and RFC 3986, section 3.2.2: a host, or a bracketed address, and a port.
const HOST = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;
/** It would be decoded in PATH_INFO; a query stays encoded. */
const NUL_IN_PATH = /^[^?]*%00/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;
/** Fields of which a second one makes the request ambiguous. RFC 9110, section 5.3. */
const SINGLE = new Set([
  'host',
  'content-length',
  'content-type',
  'transfer-encoding',
  'expect',
  'authorization',
]);

/** Checks a request that node:http has parsed; null when it may pass. */
export function checkRequest(request: IncomingMessage, limits: GateLimits): Refusal | null {
  return checkRequestLine(request, limits) ?? checkFields(request, limits) ?? checkFraming(request, limits);
}

function checkRequestLine(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { method = '', url = '', httpVersion } = request;
  if (request.httpVersionMajor !== 1)
    return refuse(505, `HTTP/${httpVersion} is not served here: use HTTP/1.1`);
  if (limits.requestLine > 0 && method.length + url.length + 10 > limits.requestLine)
    return refuse(414, 'the request line is too long');
  if (!METHOD.test(method)) return refuse(400, 'malformed method');
  if (method === 'CONNECT') return refuse(501, 'CONNECT is not served here');
  return checkTarget(method, url);
}

/** RFC 9112, section 3.2. */
function checkTarget(method: string, url: string): Refusal | null {
  if (url.includes('#')) return refuse(400, 'a target has no fragment');
  if (url.includes('%00') && NUL_IN_PATH.test(url)) return refuse(400, 'a path holds no NUL');
  for (let index = 0; index < url.length; index += 1) {
    const code = url.charCodeAt(index);
    if (code <= 0x20 || code === 0x7f) return refuse(400, 'malformed target');
  }
  if (url.charCodeAt(0) === 0x2f) return null;
  if (url === '*') return method === 'OPTIONS' ? null : refuse(400, 'the target * belongs to OPTIONS');
  return HOST.test(ABSOLUTE.exec(url)?.[1] ?? '') ? null : refuse(400, 'malformed target');
}

function checkFields(request: IncomingMessage, limits: GateLimits): Refusal | null {
  const { rawHeaders } = request;
  if (limits.fields > 0 && rawHeaders.length > limits.fields * 2)
    return refuse(431, 'too many header fields');
  let seen = '';
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    const value = rawHeaders[index + 1] as string;
    if (limits.fieldSize > 0 && name.length + value.length + 2 > limits.fieldSize)
      return refuse(431, 'a header field is too long');
    if (name.length > 17 || name.length < 4) continue;
    const lower = name.toLowerCase();
    if (!SINGLE.has(lower)) continue;
    if (seen.includes(`,${lower},`)) return refuse(400, `more than one ${name} field`);
    seen += `,${lower},`;
    if (lower === 'host' && !HOST.test(value)) return refuse(400, 'malformed Host');
  }
  if (request.httpVersionMinor > 0 && !seen.includes(',host,')) return refuse(400, 'no Host field');
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
