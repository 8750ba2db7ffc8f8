/** Main thread. A request as a web server hands it to a CGI script: variables of the environment, and standard input. RFC 3875. */
import type { Readable } from 'node:stream';
import { LidoError } from '../../contract/errors.js';
import { FIXED_KEYS, KEYS_END } from '../../contract/protocol.js';
import type { Connection } from '../../http/connection.js';
import type { EnvironContext } from '../../http/environ.js';
import type { GateLimits, Refusal } from '../../http/gate.js';
import type { BodyFlow, BodyReceiver, HttpRequest } from '../../http/request.js';
import { prefersHtml } from '../../http/response-head.js';

/** RFC 3875, section 4.1, and what web servers add to it. A server's own business, such as PATH, is not the request's. */
const META_VARIABLES =
  /^(HTTP_(?!PROXY$)\w+|AUTH_TYPE|CONTENT_LENGTH|CONTENT_TYPE|PATH_TRANSLATED|QUERY_STRING|REMOTE_(ADDR|HOST|IDENT|PORT|USER)|REQUEST_(METHOD|URI|SCHEME)|SERVER_(ADDR|ADMIN|NAME|PORT|PROTOCOL)|DOCUMENT_ROOT|SCRIPT_FILENAME|SSL_\w+|REDIRECT_\w+|UNIQUE_ID)$/;

export class CgiRequest implements HttpRequest {
  readonly #variables: Readonly<Record<string, string | undefined>>;
  readonly #input: Readable;
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly bodyLength: number;
  readonly expectsContinue = false;
  readonly isBodyLost = false;
  readonly connection: Connection;

  /** Throws LIDO_NO_CGI_REQUEST where the variables are not those of a request. */
  constructor(variables: Readonly<Record<string, string | undefined>>, input: Readable) {
    const {
      REQUEST_METHOD,
      QUERY_STRING = '',
      CONTENT_LENGTH = '',
      SERVER_PROTOCOL = 'HTTP/1.0',
    } = variables;
    if (REQUEST_METHOD === undefined)
      throw new LidoError('LIDO_NO_CGI_REQUEST', ['REQUEST_METHOD is not set']);
    if (!/^\d*$/.test(CONTENT_LENGTH))
      throw new LidoError('LIDO_NO_CGI_REQUEST', [`CONTENT_LENGTH is ${JSON.stringify(CONTENT_LENGTH)}`]);
    this.#variables = variables;
    this.#input = input;
    this.method = REQUEST_METHOD;
    const path = encodeURI(`${variables.SCRIPT_NAME ?? ''}${variables.PATH_INFO ?? ''}`) || '/';
    this.target = variables.REQUEST_URI ?? (QUERY_STRING === '' ? path : `${path}?${QUERY_STRING}`);
    this.version = SERVER_PROTOCOL.replace(/^HTTP\//, '');
    this.bodyLength = Number(CONTENT_LENGTH);
    this.connection = describeServer(variables);
  }

  field(name: string): string | undefined {
    return this.headers[name] as string | undefined;
  }

  get headers(): HttpRequest['headers'] {
    const fields = Object.entries(this.#variables).filter(([key]) => key.startsWith('HTTP_'));
    return Object.fromEntries(
      fields.map(([key, value]) => [key.slice('HTTP_'.length).toLowerCase().replaceAll('_', '-'), value]),
    );
  }

  get prefersHtml(): boolean {
    return prefersHtml(this.#variables.HTTP_ACCEPT);
  }

  /** The web server has parsed the request, and answers for that. */
  check({ maxBodySize }: GateLimits): Refusal | null {
    if (maxBodySize === 0 || this.bodyLength <= maxBodySize) return null;
    return { status: 413, reason: 'the body is too large' };
  }

  /** PEP 3333's run_with_cgi(): the variables are the environ. PATH_INFO came decoded, as bytes of the environment. */
  buildEnviron(connection: Connection, { requestId }: EnvironContext): string {
    const { SCRIPT_NAME = '', PATH_INFO = '' } = this.#variables;
    const own: Record<string, string> = {
      SCRIPT_NAME,
      // Without a script name the root of the site is asked for.
      PATH_INFO: SCRIPT_NAME === '' && PATH_INFO === '' ? '/' : PATH_INFO,
      QUERY_STRING: '',
      SERVER_NAME: connection.serverName,
      SERVER_PORT: connection.serverPort,
      SERVER_PROTOCOL: `HTTP/${this.version}`,
      REMOTE_ADDR: connection.remoteAddress,
      REMOTE_HOST: connection.remoteAddress,
      REMOTE_PORT: connection.remotePort,
      REQUEST_URI: this.target,
      RAW_URI: this.target,
      'wsgi.url_scheme': connection.scheme,
      'lido.request_id': requestId,
    };
    for (const [key, value] of Object.entries(this.#variables))
      if (value !== undefined && META_VARIABLES.test(key)) own[key] = value;
    if (own.CONTENT_LENGTH === '') delete own.CONTENT_LENGTH;
    // In the order that ASGI's scope is read in.
    const keys = [...new Set([...FIXED_KEYS, ...Object.keys(own)])];
    const values = keys.map((key) => Buffer.from(own[key] ?? '').toString('latin1'));
    return keys.join('\0') + KEYS_END + values.join('\0');
  }

  /** Standard input goes on for as long as the web server lives: no more is read than was declared. RFC 3875, section 4.2. */
  feedBody(receiver: BodyReceiver): BodyFlow {
    let left = this.bodyLength;
    const stop = () => {
      this.#input.off('data', take).off('end', breakOff);
      this.#input.pause();
    };
    const take = (chunk: Buffer) => {
      const wanted = chunk.subarray(0, left);
      left -= wanted.length;
      receiver.push(wanted);
      if (left > 0) return;
      stop();
      receiver.end([]);
    };
    const breakOff = () => receiver.fail(400);
    let isListening = false;
    return {
      resume: () => {
        if (!isListening) this.#input.on('data', take).once('end', breakOff);
        isListening = true;
        this.#input.resume();
      },
      pause: () => void this.#input.pause(),
      stop,
    };
  }
}

function describeServer(variables: Readonly<Record<string, string | undefined>>): Connection {
  const { HTTPS, REQUEST_SCHEME, SERVER_NAME, SERVER_PORT, REMOTE_ADDR, REMOTE_PORT } = variables;
  const isSecure = REQUEST_SCHEME === 'https' || /^(on|1|yes)$/i.test(HTTPS ?? '');
  return {
    scheme: isSecure ? 'https' : 'http',
    host: null,
    serverName: SERVER_NAME ?? 'localhost',
    serverPort: SERVER_PORT ?? (isSecure ? '443' : '80'),
    remoteAddress: REMOTE_ADDR ?? '',
    remotePort: REMOTE_PORT ?? '',
  };
}
