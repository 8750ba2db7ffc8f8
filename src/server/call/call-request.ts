/** Main thread. A request that nobody sent: made from the words of a command line. */
import type { IncomingMessage } from 'node:http';
import { LidoError } from '../../contract/errors.js';
import type { Connection } from '../../http/connection.js';
import { buildEnviron, type EnvironContext } from '../../http/environ.js';
import { checkRequest, type GateLimits, type Refusal } from '../../http/gate.js';
import type { BodyFlow, BodyReceiver, HttpRequest } from '../../http/request.js';
import { prefersHtml } from '../../http/response-head.js';

export interface CallOptions {
  /** Null: GET, or POST where there is a body. */
  readonly method: string | null;
  /** A path with its query, or a whole URL, whose host then is the Host field. */
  readonly target: string;
  /** "Name: value", in their order. */
  readonly fields: readonly string[];
  readonly body: Buffer | null;
}

/** What curl says of a body when nobody else does. */
const FORM = 'application/x-www-form-urlencoded';

/** Nobody is at the other end: the request comes from this machine, and a URL says where it seems to go. */
const CONNECTION: Connection = {
  scheme: 'http',
  host: null,
  serverName: 'localhost',
  serverPort: '80',
  remoteAddress: '127.0.0.1',
  remotePort: '0',
};

export class CallRequest implements HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly version = '1.1';
  readonly rawHeaders: readonly string[];
  readonly connection: Connection;
  readonly expectsContinue = false;
  readonly isBodyLost = false;
  readonly #body: Buffer;

  /** Throws LIDO_WRONG_CALL for what could not be sent as a request either. */
  constructor({ method, target, fields, body }: CallOptions) {
    const url = parseUrl(target);
    this.method = method ?? (body === null ? 'GET' : 'POST');
    this.target = url === null ? target : `${url.pathname}${url.search}`;
    this.connection = url === null ? CONNECTION : describeUrl(url);
    this.#body = body ?? Buffer.alloc(0);
    this.rawHeaders = completeFields(fields.map(parseField), url?.host ?? 'localhost', body);
  }

  field(name: string): string | undefined {
    return this.headers[name] as string | undefined;
  }

  get headers(): HttpRequest['headers'] {
    const headers: Record<string, string> = {};
    for (let index = 0; index < this.rawHeaders.length; index += 2) {
      const name = (this.rawHeaders[index] as string).toLowerCase();
      const value = this.rawHeaders[index + 1] as string;
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    }
    return headers;
  }

  get prefersHtml(): boolean {
    return prefersHtml(String(this.headers.accept ?? ''));
  }

  get bodyLength(): number {
    return this.#body.length;
  }

  check(limits: GateLimits): Refusal | null {
    return checkRequest(this.#parsed, limits);
  }

  buildEnviron(connection: Connection, context: EnvironContext): string {
    return buildEnviron(this.#parsed, connection, context);
  }

  /** As node:http would have it, which the gate and the environ go by. */
  get #parsed(): IncomingMessage {
    const { method, target: url, rawHeaders, headers } = this;
    const versions = { httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 };
    return { method, url, rawHeaders, headers, ...versions } as unknown as IncomingMessage;
  }

  feedBody(receiver: BodyReceiver): BodyFlow {
    let wanted: Buffer | null = this.#body;
    return {
      resume: () => {
        const body = wanted;
        wanted = null;
        if (body === null) return;
        if (body.length > 0) receiver.push(body);
        receiver.end([]);
      },
      pause: () => {},
      stop: () => {
        wanted = null;
      },
    };
  }
}

/** Null for a path. */
function parseUrl(target: string): URL | null {
  if (!/^https?:\/\//i.test(target)) return null;
  if (URL.canParse(target)) return new URL(target);
  throw new LidoError('LIDO_WRONG_CALL', [target, 'is no URL: write http://HOST/PATH, or a path alone']);
}

function describeUrl({ protocol, hostname, port }: URL): Connection {
  const scheme = protocol === 'https:' ? 'https' : 'http';
  const defaultPort = scheme === 'https' ? '443' : '80';
  return { ...CONNECTION, scheme, serverName: hostname, serverPort: port || defaultPort };
}

function parseField(text: string): readonly [name: string, value: string] {
  const match = /^([^:]+):[ \t]*(.*?)[ \t]*$/s.exec(text);
  if (match === null)
    throw new LidoError('LIDO_WRONG_CALL', [text, 'is no header field: write "Name: value"']);
  const [, name = '', value = ''] = match;
  return [name, Buffer.from(value).toString('latin1')];
}

/** The fields that a client would add by itself. */
function completeFields(
  fields: readonly (readonly [name: string, value: string])[],
  host: string,
  body: Buffer | null,
): string[] {
  const has = (name: string) => fields.some(([given]) => given.toLowerCase() === name);
  const added: (readonly [string, string])[] = [];
  if (!has('host')) added.push(['Host', host]);
  if (body !== null && !has('content-length')) added.push(['Content-Length', String(body.length)]);
  if (body !== null && !has('content-type')) added.push(['Content-Type', FORM]);
  return [...added, ...fields].flat();
}
