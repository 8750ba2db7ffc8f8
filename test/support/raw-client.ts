// A client that sends bytes as they are, and reads responses as they are framed.
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RawResponse {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** How the body's end was known. */
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  /** The chunks as they were framed, where they were. */
  readonly chunks: readonly Buffer[];
}

export class RawClient {
  readonly socket: Socket;
  #buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  /** `where`: a port, the path of a Unix socket, or what net.connect() takes. */
  constructor(where: number | string | TcpNetConnectOpts) {
    this.socket =
      typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where as TcpNetConnectOpts);
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    this.socket.on('end', end).on('close', end).on('error', end);
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Everything up to the end of the connection. */
  async readAll(): Promise<string> {
    while (!this.#ended) await this.#more();
    return this.#take(this.#buffer.length).toString('latin1');
  }

  /** Resolves once the server has ended the connection; false if bytes that were not asked for came first. */
  async closes(): Promise<boolean> {
    while (!this.#ended && this.#buffer.length === 0) await this.#more();
    return this.#ended && this.#buffer.length === 0;
  }

  /** Resolves with what has come once it contains `text`. */
  async readUntil(text: string): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(text, 0, 'latin1');
      if (end >= 0) return this.#take(end + text.length).toString('latin1');
      if (this.#ended)
        throw new Error(
          `the connection ended before ${JSON.stringify(text)}: ${JSON.stringify(this.#buffer.toString('latin1'))}`,
        );
      await this.#more();
    }
  }

  /** One response. `method`: what was asked, for HEAD has no body. Skips 1xx unless `informational`. */
  async readResponse({ method = 'GET', informational = false } = {}): Promise<RawResponse> {
    const head = await this.readUntil('\r\n\r\n');
    const [statusLine = '', ...fields] = head.trimEnd().split('\r\n');
    const match = /^(HTTP\/\d\.\d) (\d{3}) (.*)$/.exec(statusLine);
    if (match === null) throw new Error(`no status line: ${JSON.stringify(statusLine)}`);
    const [, version = '', status = '', reason = ''] = match;
    const rawHeaders = fields.map((field) => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon), field.slice(colon + 1).trim()] as const;
    });
    const headers = Object.fromEntries(rawHeaders.map(([name, value]) => [name.toLowerCase(), value]));
    const number = Number(status);
    if (number < 200 && !informational) return this.readResponse({ method });
    const rest = await this.#readBody(method, number, headers);
    return { version, status: number, reason, headers, rawHeaders, ...rest };
  }

  async #readBody(
    method: string,
    status: number,
    headers: Record<string, string>,
  ): Promise<Pick<RawResponse, 'body' | 'framing' | 'chunks'>> {
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
      return { body: Buffer.alloc(0), framing: 'none', chunks: [] };
    if (headers['transfer-encoding'] !== undefined) {
      const chunks = await this.#readChunks();
      return { body: Buffer.concat(chunks), framing: 'chunked', chunks };
    }
    const length = headers['content-length'];
    if (length !== undefined)
      return { body: await this.#readExactly(Number(length)), framing: 'length', chunks: [] };
    while (!this.#ended) await this.#more();
    return { body: this.#take(this.#buffer.length), framing: 'close', chunks: [] };
  }

  async #readChunks(): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(await this.readUntil('\r\n'), 16);
      if (size === 0) {
        await this.readUntil('\r\n');
        return chunks;
      }
      chunks.push(await this.#readExactly(size));
      await this.readUntil('\r\n');
    }
  }

  async #readExactly(size: number): Promise<Buffer> {
    while (this.#buffer.length < size) {
      if (this.#ended) throw new Error(`the connection ended after ${this.#buffer.length} of ${size} bytes`);
      await this.#more();
    }
    return this.#take(size);
  }

  #take(size: number): Buffer {
    const taken = this.#buffer.subarray(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return taken;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Sends one request and reads its response. */
export async function exchange(
  where: number | string,
  request: string | Buffer,
  method = 'GET',
): Promise<RawResponse> {
  const client = new RawClient(where);
  client.send(request);
  return client.readResponse({ method });
}

/** `get('/path')`: a request of HTTP/1.1. */
export function get(path: string, fields = '', method = 'GET'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: lido.test\r\n${fields}\r\n`;
}
