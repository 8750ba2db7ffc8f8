/** The status and the headers that an application gives. */
import { breach, type ProtocolError, show } from './breach.js';

export interface CheckedHead {
  readonly status: number;
  readonly contentLength: number | null;
}

const STATUS = /^[2-9]\d\d [\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]$/;
// RFC 9110, section 5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** RFC 9110, section 7.6.1: what concerns the connection. */
const HOP_BY_HOP =
  /^(connection|keep-alive|proxy-authenticate|proxy-authorization|te|trailers?|transfer-encoding|upgrade)$/i;

/** Throws a ProtocolError against the application. */
export function checkHead(status: unknown, headers: unknown): CheckedHead {
  if (typeof status !== 'string' || !STATUS.test(status))
    throw wrong(
      `gave the status ${show(status)}`,
      'a status is three digits, a space and a reason: "200 OK"',
    );
  if (!Array.isArray(headers))
    throw wrong(`gave ${show(headers)} for headers`, 'give an array of [name, value] pairs');
  const code = Number(status.slice(0, 3));
  const fields = headers.map(checkField);
  checkContentType(
    code,
    fields.some(([name]) => name === 'content-type'),
  );
  return { status: code, contentLength: findLength(fields) };
}

function checkField(header: unknown): [name: string, value: string] {
  const shown = show(header);
  if (!Array.isArray(header) || header.length !== 2)
    throw wrong(`gave the header ${shown}`, 'a header is an array of name and value');
  const [name, value] = header as unknown[];
  if (typeof name !== 'string' || !TOKEN.test(name))
    throw wrong(`gave the header ${shown}`, 'a header name is a token, without colon, space or line end');
  if (typeof value !== 'string')
    throw wrong(`gave the header ${shown}`, 'a header value is a string: String(value)');
  if (!FIELD_VALUE.test(value))
    throw wrong(
      `gave the header ${shown}`,
      'a header value has no control characters, and none above U+00FF',
    );
  if (name.toLowerCase() === 'status')
    throw wrong('gave a Status header', 'the status is the first argument of startResponse');
  if (HOP_BY_HOP.test(name))
    throw wrong(
      `gave the hop-by-hop header ${name}`,
      "leave it out: the connection is the server's",
      'Other HTTP Features',
    );
  return [name.toLowerCase(), value];
}

function checkContentType(status: number, isThere: boolean): void {
  const hasBody = status !== 204 && status !== 304;
  if (hasBody && !isThere)
    throw wrong('gave no Content-Type', "say what the body is: ['Content-Type', 'text/plain']");
  if (!hasBody && isThere)
    throw wrong(`gave a Content-Type with ${status}`, 'that status has no body: leave it out');
}

function findLength(fields: readonly (readonly [name: string, value: string])[]): number | null {
  const values = fields.filter(([name]) => name === 'content-length').map(([, value]) => value);
  const [value] = values;
  if (value === undefined) return null;
  if (values.length > 1 || !/^\d+$/.test(value))
    throw wrong(
      `gave the Content-Length ${values.join(', ')}`,
      'one Content-Length, in decimal digits',
      'Handling the Content-Length Header',
    );
  return Number(value);
}

function wrong(deed: string, instead: string, section = 'The start_response() Callable'): ProtocolError {
  return breach('application', section, deed, instead);
}
