// Worker thread. A response's head: checked, and as it travels.
import { describe, type ErrorCode, LidoError } from '../../src/contract/errors.js';
import { HEAD_SEPARATOR } from '../../src/contract/protocol.js';
import type { Header } from '../../src/contract/wsgi.js';

// RFC 9112, section 4: three digits, a space, a reason. PEP 3333 wants a reason, and 1xx is no final status.
const STATUS = /^[2-9]\d\d [\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]$/;
// RFC 9110, section 5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// RFC 9110, section 5.5, obs-text included; neither CR, LF nor NUL, and nothing beyond latin-1.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** A number of bytes that a double holds exactly. */
const DIGITS = /^\d{1,15}$/;

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

/** The head on the wire, see HEAD_SEPARATOR. Throws a LidoError that names the rule. */
export function buildHead(status: string, headers: readonly Header[]): string {
  if (typeof status !== 'string' || !STATUS.test(status)) throw malformed('LIDO_MALFORMED_STATUS', status);
  return addFields(status, headers);
}

/** The fields of early hints on the wire. Throws a LidoError that names the rule. RFC 8297. */
export function buildHints(headers: readonly Header[]): string {
  const head = addFields('', headers);
  // RFC 9110, section 8.6: what is on its way has no body.
  if (declaresLength(head)) throw malformed('LIDO_MALFORMED_CONTENT_LENGTH', 'of early hints');
  return head.slice(HEAD_SEPARATOR.length);
}

function addFields(start: string, headers: readonly Header[]): string {
  if (!Array.isArray(headers)) throw malformed('LIDO_MALFORMED_HEADER', headers);
  let head = start;
  let contentLength: string | undefined;
  for (const header of headers) {
    if (!Array.isArray(header) || header.length !== 2) throw malformed('LIDO_MALFORMED_HEADER', header);
    // Taken once, by index: what was checked is what is sent, whatever class the pair is of.
    const name: unknown = header[0];
    const value: unknown = header[1];
    if (
      typeof name !== 'string' ||
      typeof value !== 'string' ||
      !TOKEN.test(name) ||
      !FIELD_VALUE.test(value)
    )
      throw malformed('LIDO_MALFORMED_HEADER', header);
    if (HOP_BY_HOP.has(name.toLowerCase())) throw malformed('LIDO_HOP_BY_HOP_HEADER', name);
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (contentLength !== undefined || !DIGITS.test(value))
        throw malformed('LIDO_MALFORMED_CONTENT_LENGTH', value);
      contentLength = value;
    }
    head += HEAD_SEPARATOR + name + HEAD_SEPARATOR + value;
  }
  return head;
}

/** Names and values take turns: a value may read `Content-Length` too. */
const DECLARES_LENGTH = /^[^\n]*(?:\n[^\n]*\n[^\n]*)*?\ncontent-length\n/i;

export function declaresLength(head: string): boolean {
  return DECLARES_LENGTH.test(head);
}

/** The head with a Content-Length, unless it has one or its status allows no body. */
export function declareLength(head: string, length: number): string {
  const hasNoBody = head.startsWith('204') || head.startsWith('205') || head.startsWith('304');
  if (hasNoBody || declaresLength(head)) return head;
  return `${head}\nContent-Length\n${length}`;
}

function malformed(code: ErrorCode, value: unknown): LidoError {
  return new LidoError(code, [typeof value === 'number' ? value : show(value)]);
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? typeof value;
  } catch {
    // A BigInt, an array within itself, and their like have no JSON.
    return describe(value);
  }
}
