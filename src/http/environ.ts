/**
 * Main thread. [2] A request ► the environ on the wire (see KEYS_END in protocol.ts). Pure.
 * PEP 3333, "environ Variables"; RFC 3875 for the CGI keys.
 */
import type { IncomingMessage } from 'node:http';
import { KEYS_END } from '../contract/protocol.js';
import type { Connection } from './connection.js';
import { parseTarget } from './target.js';

/** What the environ tells beside the request and its connection. */
export interface EnvironContext {
  readonly requestId: string;
  /** The target as the client sent it, where a framework has cut it; null where `request.url` is that. */
  readonly url: string | null;
  /** Where the application is mounted, decoded like PATH_INFO and without a trailing slash: '' at the root. */
  readonly scriptName: string;
  /** The length of a body that was received whole. Where it came in chunks, it stands in for the coding. */
  readonly contentLength: number | null;
  /** Keys that an embedding service adds, such as REMOTE_USER. */
  readonly extra: Readonly<Record<string, string>> | null;
}

const FIXED_KEYS = [
  'REQUEST_METHOD',
  'SCRIPT_NAME',
  'PATH_INFO',
  'QUERY_STRING',
  'REQUEST_URI',
  'RAW_URI',
  'SERVER_NAME',
  'SERVER_PORT',
  'SERVER_PROTOCOL',
  'REMOTE_ADDR',
  // RFC 3875, section 4.1.9: the address stands in for a name that nobody looked up.
  'REMOTE_HOST',
  'REMOTE_PORT',
  'wsgi.url_scheme',
  'lido.request_id',
].join('\0');

/** Header names whose keys are remembered. Clients choose names freely, so the cache must end somewhere. */
const MAX_CACHED_NAMES = 1024;
const keysByName = new Map<string, string>();

/** Builds the wire string of a request that has passed the gate. */
export function buildEnviron(
  request: IncomingMessage,
  connection: Connection,
  context: EnvironContext,
): string {
  const url = context.url ?? (request.url as string);
  const target = parseTarget(url);
  const path = decodePath(target.path);
  const pathInfo = context.scriptName === '' ? path : path.slice(context.scriptName.length);
  const fields = new FieldCollector();
  collectHeaders(fields, request.rawHeaders, connection.host ?? target.authority);
  if (context.contentLength !== null) fields.tellLength(String(context.contentLength));
  if (context.extra !== null) {
    for (const [key, value] of Object.entries(context.extra)) fields.set(key, value.replaceAll('\0', ''));
  }
  const values = `${request.method}\0${context.scriptName}\0${pathInfo}\0${target.query}\0${url}\0${url}\0${connection.serverName}\0${connection.serverPort}\0HTTP/${request.httpVersion}\0${connection.remoteAddress}\0${connection.remoteAddress}\0${connection.remotePort}\0${connection.scheme}\0${context.requestId}`;
  return FIXED_KEYS + fields.joinKeys() + KEYS_END + values + fields.joinValues();
}

function collectHeaders(
  fields: FieldCollector,
  rawHeaders: readonly string[],
  authority: string | undefined,
): void {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    fields.add(rawHeaders[index] as string, rawHeaders[index + 1] as string);
  }
  // RFC 9112, section 3.2.2: the authority of an absolute-form target replaces the Host field; so does a trusted proxy's word.
  if (authority !== undefined) fields.set('HTTP_HOST', authority);
}

/** Collects keys and values in order, joining repeated fields. */
class FieldCollector {
  readonly #keys: string[] = [];
  readonly #values: string[] = [];

  /** RFC 9110, section 5.3: repeated fields are one list; RFC 6265, section 5.4: cookies are joined by a semicolon. */
  add(name: string, value: string): void {
    const key = lookUpKey(name);
    if (key === null) return;
    const known = this.#keys.indexOf(key);
    if (known < 0) {
      this.#keys.push(key);
      this.#values.push(value);
    } else {
      this.#values[known] += key === 'HTTP_COOKIE' ? `; ${value}` : `,${value}`;
    }
  }

  set(key: string, value: string): void {
    const known = this.#keys.indexOf(key);
    if (known >= 0) {
      this.#values[known] = value;
      return;
    }
    this.#keys.push(key);
    this.#values.push(value);
  }

  /** Applications that see the coding would take it off once more, as Bottle does. RFC 9112, section 6.1: it is for one hop. */
  tellLength(length: string): void {
    const coding = this.#keys.indexOf('HTTP_TRANSFER_ENCODING');
    if (coding >= 0) this.#keys[coding] = 'CONTENT_LENGTH';
    this.set('CONTENT_LENGTH', length);
  }

  joinKeys(): string {
    return this.#keys.length === 0 ? '' : `\0${this.#keys.join('\0')}`;
  }

  joinValues(): string {
    return this.#values.length === 0 ? '' : `\0${this.#values.join('\0')}`;
  }
}

/** Null for a name with an underscore, which would pose as one with a dash. */
function lookUpKey(name: string): string | null {
  const known = keysByName.get(name);
  if (known !== undefined) return known;
  if (name.includes('_')) return null;
  const key = name.toUpperCase().replaceAll('-', '_');
  const result = key === 'CONTENT_TYPE' || key === 'CONTENT_LENGTH' ? key : `HTTP_${key}`;
  if (keysByName.size < MAX_CACHED_NAMES) keysByName.set(name, result);
  return result;
}

/** Percent-decodes a path into latin-1 characters, one for each byte; what is not an escape is kept as it is. */
export function decodePath(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** PEP 3333, "Unicode Issues": text in the environ is bytes, one latin-1 character for each. */
export function encodeAsLatin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
