/**
 * Main thread. [2] A request ► the environ on the wire (see KEYS_END in protocol.ts). Pure.
 * PEP 3333, "environ Variables"; RFC 3875 for the CGI keys.
 */
import type { IncomingMessage } from 'node:http';
import { FIXED_KEYS, KEYS_END } from '../contract/protocol.js';
import type { Connection } from './connection.js';
import { lookUpName } from './grammar.js';
import { defaultPort, parseTarget } from './target.js';

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
  /** For ASGI: a field that is repeated stands there as often as it came; in WSGI its values are joined. */
  readonly separates?: boolean;
}

const FIXED = FIXED_KEYS.join('\0');

/** What the environ tells of a request as it came. */
export interface RequestFacts {
  readonly method: string;
  /** "1.1" */
  readonly version: string;
  readonly fields: FieldCollector;
}

/** Builds the wire string of a request of node:http's that has passed the gate. */
export function buildEnviron(
  request: IncomingMessage,
  connection: Connection,
  context: EnvironContext,
): string {
  const { rawHeaders, method = '', httpVersion: version, url = '' } = request;
  const fields = new FieldCollector();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const key = lookUpName(rawHeaders[index] as string)?.key ?? null;
    if (key !== null) fields.add(key, rawHeaders[index + 1] as string);
  }
  return composeEnviron({ method, version, fields }, context.url ?? url, connection, context);
}

/** The wire string; the fields are used up. */
export function composeEnviron(
  { method, version, fields }: RequestFacts,
  url: string,
  connection: Connection,
  context: EnvironContext,
): string {
  const target = parseTarget(url);
  const path = decodePath(target.path);
  const pathInfo = context.scriptName === '' ? path : path.slice(context.scriptName.length);
  // RFC 9112, section 3.2.2: the authority of an absolute-form target replaces the Host field; so does a trusted proxy's word.
  const authority = connection.host ?? target.authority;
  if (authority !== undefined) fields.set('HTTP_HOST', authority);
  if (context.contentLength !== null) fields.tellLength(String(context.contentLength));
  if (context.extra !== null) {
    for (const [key, value] of Object.entries(context.extra)) fields.set(key, value.replaceAll('\0', ''));
  }
  // A Unix socket has no port: PEP 3333 allows none to be empty, and ASGI wants it said that there is none.
  const port = connection.serverPort || (context.separates ? '' : defaultPort(connection.scheme));
  const values = `${method}\0${context.scriptName}\0${pathInfo}\0${target.query}\0${url}\0${url}\0${connection.serverName}\0${port}\0HTTP/${version}\0${connection.remoteAddress}\0${connection.remoteAddress}\0${connection.remotePort}\0${connection.scheme}\0${context.requestId}`;
  if (context.separates) fields.separate();
  return FIXED + fields.joinKeys() + KEYS_END + values + fields.joinValues();
}

/** Asked for by Lido's own code and by settings alone, so they are few. */
const keysOfFields = new Map<string, string>();

/** `user-agent` ► `HTTP_USER_AGENT` */
export function keyOfField(name: string): string {
  const known = keysOfFields.get(name);
  if (known !== undefined) return known;
  const key = name.toUpperCase().replaceAll('-', '_');
  const result = key === 'CONTENT_TYPE' || key === 'CONTENT_LENGTH' ? key : `HTTP_${key}`;
  keysOfFields.set(name, result);
  return result;
}

/** Collects keys and values in order, joining repeated fields. */
export class FieldCollector {
  readonly #keys: string[] = [];
  readonly #values: string[] = [];
  /** The values of each repeated field, one by one. */
  #repeated: Map<string, string[]> | null = null;

  /** RFC 9110, section 5.3: repeated fields are one list; RFC 6265, section 5.4: cookies are joined by a semicolon. */
  add(key: string, value: string): void {
    const known = this.#keys.indexOf(key);
    if (known < 0) {
      this.#keys.push(key);
      this.#values.push(value);
    } else {
      this.#keep(key, this.#values[known] as string, value);
      this.#values[known] += key === 'HTTP_COOKIE' ? `; ${value}` : `,${value}`;
    }
  }

  #keep(key: string, first: string, value: string): void {
    this.#repeated ??= new Map();
    const values = this.#repeated.get(key);
    if (values === undefined) this.#repeated.set(key, [first, value]);
    else values.push(value);
  }

  get(key: string): string | undefined {
    const known = this.#keys.indexOf(key);
    return known < 0 ? undefined : this.#values[known];
  }

  /** Names in lower case, repeated fields joined, as node:http has them. */
  toHeaders(): Record<string, string> {
    const pairs = this.#keys.map((key, index): [string, string] => {
      const name = key.replace(/^HTTP_/, '').replaceAll('_', '-');
      const separator = key === 'HTTP_COOKIE' ? '; ' : ', ';
      return [
        name.toLowerCase(),
        this.#repeated?.get(key)?.join(separator) ?? (this.#values[index] as string),
      ];
    });
    return Object.fromEntries(pairs);
  }

  set(key: string, value: string): void {
    const known = this.#keys.indexOf(key);
    if (known >= 0) {
      this.#values[known] = value;
      this.#repeated?.delete(key);
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

  /** Parts what was joined; nothing may be added afterwards. */
  separate(): void {
    for (const [key, values] of this.#repeated ?? []) {
      const known = this.#keys.indexOf(key);
      this.#keys.splice(known, 1, ...values.map(() => key));
      this.#values.splice(known, 1, ...values);
    }
    this.#repeated = null;
  }

  joinKeys(): string {
    return this.#keys.length === 0 ? '' : `\0${this.#keys.join('\0')}`;
  }

  joinValues(): string {
    return this.#values.length === 0 ? '' : `\0${this.#values.join('\0')}`;
  }
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
