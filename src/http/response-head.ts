/** Main thread. A response's head as it travels ► its parts, and the text that goes to the client. Pure, but for a cache. */
import { isToken, isValue } from './grammar.js';

export interface Head {
  readonly status: number;
  readonly reason: string;
  /** Names and values, one after the other, as ServerResponse.writeHead() takes them. */
  readonly fields: readonly string[];
  /** As declared by the application; null when it declared none. */
  readonly contentLength: number | null;
  /** False where RFC 9110 allows no body: 204, 205 and 304. */
  readonly mayHaveBody: boolean;
  /** What would end a field or the head before its time; such a head is not sent. */
  readonly fault?: string;
}

/** Applications answer with the same few heads again and again; longer ones are likely to differ each time. */
const MAX_CACHED_HEADS = 256;
const MAX_CACHED_LENGTH = 512;
const heads = new Map<string, Head>();
const texts = new WeakMap<Head, HeadText>();

/** Parses `status\nName\nvalue\nName\nvalue`, which the gateway has checked. */
export function parseHead(wire: string): Head {
  const known = heads.get(wire);
  if (known !== undefined) return known;
  const head = parse(wire);
  if (wire.length <= MAX_CACHED_LENGTH && heads.size < MAX_CACHED_HEADS) heads.set(wire, head);
  return head;
}

function parse(wire: string): Head {
  const [statusLine = '', ...all] = wire.split('\n');
  const status = Number(statusLine.slice(0, 3));
  const mayHaveBody = status !== 204 && status !== 205 && status !== 304;
  let fields: string[] = [];
  let contentLength: number | null = null;
  let announcesTrailers = false;
  for (let index = 0; index < all.length; index += 2) {
    const name = all[index] as string;
    const value = all[index + 1] as string;
    const lower = name.toLowerCase();
    const isLength = lower === 'content-length';
    if (isLength) contentLength = Number(value);
    if (lower === 'trailer') announcesTrailers = true;
    // RFC 9110, section 8.6: no Content-Length in a 204.
    if (!isLength || (status !== 204 && status !== 205)) fields.push(name, value);
  }
  // RFC 9110, section 15.3.6: clients look for a body behind a 205, and it says that there is none.
  if (status === 205) fields.push('Content-Length', '0');
  // Behind a body that is counted is no place for them, RFC 9112, section 7.1.2; node:http throws where they are announced.
  if (announcesTrailers && contentLength !== null) fields = dropField(fields, 'trailer');
  const head = { status, reason: statusLine.slice(4), fields, contentLength, mayHaveBody };
  const fault = findFault(head);
  return fault === null ? head : { ...head, fault };
}

function dropField(fields: readonly string[], name: string): string[] {
  return fields.filter((_, index) => fields[index & ~1]?.toLowerCase() !== name);
}

/** Parses `Name\nvalue\nName\nvalue`, which the gateway has checked; no fields where there is something else in it. */
export function parseFields(wire: string): readonly string[] {
  const fields = wire.split('\n');
  return findFieldFault(fields) === null ? fields : [];
}

/** The gateways have refused all this before; whatever comes another way must not split a response either. RFC 9112, 4 and 5. */
function findFault({ status, reason, fields }: Head): string | null {
  if (!(status >= 100 && status <= 999) || !isValue(reason)) return 'status';
  return findFieldFault(fields);
}

function findFieldFault(fields: readonly string[]): string | null {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!isToken(name) || !isValue(fields[index + 1] ?? '\n')) return JSON.stringify(name);
  }
  return null;
}

/** Names in lower case with all their values, in the order of their first. */
export function gatherFields(fields: readonly string[]): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] as string).toLowerCase();
    const value = fields[index + 1] as string;
    const known = found.get(name);
    if (known === undefined) found.set(name, [value]);
    else known.push(value);
  }
  return found;
}

/** Fields, each with its CRLF. */
export function writeFieldsText(fields: readonly string[]): string {
  let text = '';
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`;
  return text;
}

/** The part of a head's text that is the same each time. */
export interface HeadText {
  /** The status line and the fields, each with its CRLF. */
  readonly text: string;
  readonly hasDate: boolean;
}

/** The text of a head. */
export function writeHeadText(head: Head): HeadText {
  const known = texts.get(head);
  if (known !== undefined) return known;
  const { status, reason, fields } = head;
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  let hasDate = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (name.length === 4 && name.toLowerCase() === 'date') hasDate = true;
    text += `${name}: ${fields[index + 1]}\r\n`;
  }
  const written = { text, hasDate };
  texts.set(head, written);
  return written;
}

/** Whether the client wants HTML rather than plain text, for an error page. RFC 9110, section 12.5.1, as far as it matters here. */
export function prefersHtml(accept: string | undefined): boolean {
  return accept !== undefined && /\btext\/html\b/i.test(accept);
}
