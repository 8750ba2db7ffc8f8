/**
 * Main thread. The operator's door: a small HTTP server on an address of its own, never on a public one. What it answers
 * is given to it as routes; it sees to who may ask, and to limits.
 */
import { chmodSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { describe } from '../contract/errors.js';
import type { Log } from '../log.js';
import { formatAddress, type ListenAddress } from '../settings/address.js';

/** One thing that can be asked. GET looks, POST changes something; a HEAD is answered as GET without its body. */
export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  /** The whole path, such as `/metrics`. */
  readonly path: string;
  /** What it throws is answered with 500, and logged. The query's names and values are in `query`. */
  answer(response: ServerResponse, query: URLSearchParams): void | Promise<void>;
}

export interface AdminServerOptions {
  readonly address: ListenAddress;
  readonly routes: readonly AdminRoute[];
  /** Names by which it may be asked, beside addresses and `localhost`. */
  readonly hosts: readonly string[];
  readonly log: Log;
}

/** An operator's tools are few; what is beyond that waits in the kernel. Connections. */
const MAX_CONNECTIONS = 64;
/** Bytes of a request's head: what curl, Prometheus and browsers send is far below. */
const MAX_HEAD = 16 * 1024;
/** How long a request may take to arrive. Milliseconds. */
const REQUEST_PATIENCE_MS = 10_000;
/** Prometheus asks each 15 s or less often: a connection is worth keeping that long. Milliseconds. */
const KEEP_ALIVE_MS = 20_000;
/** Only who runs the server, and root, may connect to its Unix socket. */
const SOCKET_MODE = 0o600;

/** For every answer: nothing is kept, framed, or read by another site. A page says in its own policy what it may do more. */
const COMMON_FIELDS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #listener: http.Server;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#listener = http.createServer(
      {
        maxHeaderSize: MAX_HEAD,
        headersTimeout: REQUEST_PATIENCE_MS,
        requestTimeout: REQUEST_PATIENCE_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => void this.#handle(request, response),
    );
    this.#listener.maxConnections = MAX_CONNECTIONS;
  }

  /** Where it listens, as a URL: "http://127.0.0.1:9090", "unix:/run/lido-admin.sock". */
  get address(): string {
    return formatAddress(this.#options.address, this.#listener.address() as AddressInfo | string | null);
  }

  /** Rejects as listen(2) fails. A Unix socket that another process left behind is the caller's to remove. */
  async listen(): Promise<void> {
    const { address } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(address, resolve);
      // The socket is there as soon as listen() returns: nobody else gets in between.
      if ('path' in address && this.#listener.listening) chmodSync(address.path, SOCKET_MODE);
    });
  }

  /** Ends at once, with what is being answered. Idempotent. */
  async close(): Promise<void> {
    if (!this.#listener.listening) return;
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.#listener.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(COMMON_FIELDS)) response.setHeader(name, value);
    // No answer depends on a body: one that comes is not read, and its connection ends.
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined)
      response.setHeader('Connection', 'close');
    const [pathname = '', query = ''] = (request.url ?? '').split('?', 2);
    const found = this.#options.routes.filter(({ path }) => path === pathname);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const route = found.find((candidate) => candidate.method === method);
    if (!this.#isAskedByName(request)) {
      sendText(response, 403, `${HOST_REFUSED}\n`);
    } else if (route !== undefined) {
      await this.#answer(route, response, new URLSearchParams(query));
    } else if (found.length > 0) {
      response.setHeader('Allow', found.map((candidate) => candidate.method).join(', '));
      sendText(response, 405, `${pathname} is asked with ${found[0]?.method}\n`);
    } else {
      sendText(response, 404, `${this.#listPaths()}\n`);
    }
  }

  async #answer(route: AdminRoute, response: ServerResponse, query: URLSearchParams): Promise<void> {
    try {
      await route.answer(response, query);
    } catch (error) {
      this.#options.log.error(
        { err: error },
        `the admin listener failed at ${route.path}: ${describe(error)}`,
      );
      if (response.headersSent) response.destroy();
      else sendText(response, 500, 'this could not be answered: the log says why\n');
    }
  }

  /**
   * A page of any site can point its own name at this address (DNS rebinding) and would then be let read by a browser;
   * the Host field tells. Nothing in a browser reaches a Unix socket.
   */
  #isAskedByName({ headers }: IncomingMessage): boolean {
    if ('path' in this.#options.address) return true;
    const name = (headers.host ?? '').replace(/:\d*$/, '').toLowerCase();
    if (name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0) return true;
    return this.#options.hosts.some((host) => host.toLowerCase() === name);
  }

  #listPaths(): string {
    const lines = this.#options.routes.map(({ method, path }) => `${method} ${path}`);
    return `nothing is here; there is:\n${lines.join('\n')}`;
  }
}

const HOST_REFUSED =
  'this is asked by an address or as localhost; for another name start Lido with --admin-hosts NAME';

export function sendText(response: ServerResponse, status: number, body: string): void {
  send(response, status, 'text/plain; charset=utf-8', body);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

export function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
