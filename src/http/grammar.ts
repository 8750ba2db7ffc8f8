/** Main thread. The grammar that both ways in hold requests to. Pure. */
import { isIPv6 } from 'node:net';

/** RFC 9110, section 5.6.2: a method, a field's name. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, section 5.5. A NUL would end a value on its way to a worker, and what is no byte cannot go there. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** RFC 9110, section 7.2 and RFC 3986, section 3.2: a name or a bracketed address, and a port. */
const HOST =
  /^(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])(?::(?:\d{0,4}|[0-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?$/;
/** It would be decoded in PATH_INFO; a query stays encoded. */
const NUL_IN_PATH = /^[^?]*%00/;
const ABSOLUTE = /^https?:\/\/([^/?]*)/i;

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** A length that has more digits could not be counted. */
const MAX_LENGTH_DIGITS = 15;

/** Whether a text is a Content-Length. RFC 9110, section 8.6. */
export function isLength(text: string): boolean {
  return /^\d+$/.test(text) && text.replace(/^0+/, '').length <= MAX_LENGTH_DIGITS;
}

/** Whether a text may be a field's value. */
export function isValue(text: string): boolean {
  return !NOT_IN_VALUE.test(text);
}

/** Whether a text may stand in a Host field. */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && (match[1] === undefined || isIPv6(match[1]));
}

/** What is wrong with a target; null when nothing is. RFC 9112, section 3.2. */
export function findTargetFault(method: string, target: string): string | null {
  for (let index = 0; index < target.length; index += 1) {
    const code = target.charCodeAt(index);
    if (code === 0x23) return 'a target has no fragment';
    if (code <= 0x20 || code >= 0x7f) return 'malformed target';
  }
  if (target.includes('%00') && NUL_IN_PATH.test(target)) return 'a path holds no NUL';
  if (target.charCodeAt(0) === 0x2f) return null;
  if (target === '*') return method === 'OPTIONS' ? null : 'the target * belongs to OPTIONS';
  return isHost(ABSOLUTE.exec(target)?.[1] ?? '') ? null : 'malformed target';
}

/** Fields of which a second one makes the request ambiguous, each with a bit of its own. RFC 9110, section 5.3. */
export const HOST_BIT = 1;
export const LENGTH_BIT = 2;
export const CODING_BIT = 8;
export const EXPECT_BIT = 16;
/** The Connection field may come as often as it likes, but has to be read. */
export const CONNECTION_BIT = 64;
const BITS: ReadonlyMap<string, number> = new Map([
  ['host', HOST_BIT],
  ['content-length', LENGTH_BIT],
  ['content-type', 4],
  ['transfer-encoding', CODING_BIT],
  ['expect', EXPECT_BIT],
  ['authorization', 32],
  ['connection', CONNECTION_BIT],
]);
/** Names that a server behind this one may take for the fields that say where a body ends. */
const POSES_AS_FRAMING = /^(?:content[-_]length|transfer[-_]encoding)$/i;

/** What a field's name says of it. */
export interface FieldName {
  /** Its key in the environ; null for a name with an underscore, which would pass for one with a dash. */
  readonly key: string | null;
  /** 0 for fields that are only handed on. */
  readonly bit: number;
  /** True where the name would become that of a framing field when an underscore is taken for a dash. */
  readonly isDisguised: boolean;
}

/** Clients choose names freely, so the cache must end somewhere. */
const MAX_CACHED_NAMES = 1024;
const names = new Map<string, FieldName>();

/** Null for what is no name. RFC 9110, section 5.1. */
export function lookUpName(name: string): FieldName | null {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (!isToken(name)) return null;
  const hasUnderscore = name.includes('_');
  const field = {
    key: hasUnderscore ? null : toKey(name),
    bit: BITS.get(name.toLowerCase()) ?? 0,
    isDisguised: hasUnderscore && POSES_AS_FRAMING.test(name),
  };
  if (names.size < MAX_CACHED_NAMES) names.set(copyText(name), field);
  return field;
}

/** PEP 3333, "environ Variables"; RFC 3875, section 4.1. */
function toKey(name: string): string {
  const key = name.toUpperCase().replaceAll('-', '_');
  return key === 'CONTENT_TYPE' || key === 'CONTENT_LENGTH' ? key : `HTTP_${key}`;
}

/** What is wrong with a transfer coding; null when it is chunked, and nothing but. RFC 9112, sections 6.1 and 6.3. */
export function findCodingFault(coding: string): { status: number; reason: string } | null {
  const codings = coding
    .toLowerCase()
    .split(',')
    .map((each) => each.trim());
  if (codings.length === 1 && codings[0] === 'chunked') return null;
  if (coding === '') return { status: 400, reason: 'an empty Transfer-Encoding' };
  if (codings.slice(0, -1).includes('chunked'))
    return { status: 400, reason: 'chunked is the last transfer coding, and comes once' };
  return { status: 501, reason: 'no transfer coding but chunked is served here' };
}

/** A text that is kept for long, and must not keep the packet alive that it was cut from: V8 shares the memory of slices. */
export function copyText(text: string): string {
  return ` ${text}`.slice(1);
}
