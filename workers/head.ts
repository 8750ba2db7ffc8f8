// Worker thread. A response's head: checked, and as it travels.
import { type ErrorCode, LidoError } from '../src/errors.js';
import type { Header } from '../src/wsgi.js';

// RFC 9112, section 4: three digits, a space, a reason. PEP 3333 wants a reason, and 1xx is no final status.
const STATUS = /^[2-9]\d\d [\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]$/;
// RFC 9110, section 5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// RFC 9110, section 5.5, obs-text included; neither CR, LF nor NUL, and nothing beyond latin-1.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const DIGITS = /^\d+$/;

/** PEP 3333, "Other HTTP Features": an application has no say in what concerns the connection. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'trailers',
  'transfer-encoding',
  'upgrade',
]);

/** The head on the wire: `status\nName\nvalue\nName\nvalue`. Throws LIDO_404, 405, 406 or 409. */
export function buildHead(status: string, headers: readonly Header[]): string {
  if (typeof status !== 'string' || !STATUS.test(status)) throw malformed('LIDO_404', status);
  if (!Array.isArray(headers)) throw malformed('LIDO_405', headers);
  let head = status;
  let contentLength: string | undefined;
  for (const header of headers) {
    checkHeader(header);
    const [name, value] = header;
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (contentLength !== undefined || !DIGITS.test(value)) throw malformed('LIDO_409', value);
      contentLength = value;
    }
    head += `\n${name}\n${value}`;
  }
  return head;
}

/** The head with a Content-Length, unless it has one or its status allows no body. */
export function declareLength(head: string, length: number): string {
  if (head.startsWith('204') || head.startsWith('304') || /\ncontent-length\n/i.test(head)) return head;
  return `${head}\nContent-Length\n${length}`;
}

function checkHeader(header: Header): void {
  if (!Array.isArray(header) || header.length !== 2) throw malformed('LIDO_405', header);
  const [name, value] = header;
  if (typeof name !== 'string' || typeof value !== 'string') throw malformed('LIDO_405', header);
  if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) throw malformed('LIDO_405', header);
  if (HOP_BY_HOP.has(name.toLowerCase())) throw malformed('LIDO_406', name);
}

function malformed(code: ErrorCode, value: unknown): LidoError {
  return new LidoError(code, [typeof value === 'number' ? value : (JSON.stringify(value) ?? typeof value)]);
}
