/** Main thread. Owns listeners and the application: listen(), close() as named drain steps. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApplicationStats } from '../application/application.js';
import { MountTable } from '../application/mounts.js';
import { LidoError } from '../contract/errors.js';
import { answerClientError, answerConnect } from '../http/client-error.js';
import { answerHalfClosed } from '../http/half-close.js';
import { takeIn } from '../http/node-request.js';
import { dropStalledClients } from '../http/stalled-clients.js';
import type { Log } from '../log.js';
import { type BindAddress, formatAddress, parseBind } from '../settings/address.js';
import { expandMounts } from '../settings/mounts.js';
import type { Settings } from '../settings/resolve.js';
import { removeStaleSocket } from './bind.js';

/** How often node:http looks for clients that are overdue. Milliseconds. */
const CONNECTION_CHECK_MS = 1000;

export interface ServerDependencies {
  readonly log: Log;
}

/** Makes a server; nothing is started before listen(). Throws LIDO_WRONG_SETTING for a malformed address. */
export function createServer(settings: Settings, { log }: ServerDependencies): Server {
  return new Server(settings, log);
}

export class Server {
  readonly #settings: Settings;
  readonly #binds: readonly BindAddress[];
  readonly #mounts: MountTable;
  readonly #listeners: http.Server[] = [];
  #addresses: string[] = [];
  #closed: Promise<boolean> | null = null;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#binds = settings.bind.map(parseBind);
    this.#mounts = new MountTable(settings, log);
  }

  /** Where the server listens, as URLs: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /**
   * Starts the workers, then listens. Rejects with a LidoError when the application or an address fails, LIDO_SHUTTING_DOWN where
   * close() came meanwhile.
   */
  async listen(): Promise<void> {
    try {
      await this.#mounts.start();
      for (const address of this.#binds) await this.#open(address);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Loads each application's code anew: new workers take the requests that come from then on, the old ones finish theirs
   * and end; no request is lost. Resolves when they have ended. Rejects with the LidoError of the first that fails, whose
   * old workers go on; with LIDO_PYTHON_NOT_RELOADABLE for a Python application, which takes a new process.
   */
  reload(): Promise<void> {
    return this.#mounts.reload();
  }

  /** What each application is at, by its mount. */
  stats(): readonly ApplicationStats[] {
    return this.#mounts.stats();
  }

  /** Imports each application in a worker, without listening. */
  async check(): Promise<readonly ApplicationStats[]> {
    try {
      await this.#mounts.start();
      return this.#mounts.stats();
    } finally {
      await this.close();
    }
  }

  /** One line for people: what is served, by what, on how many threads, in how many processes, where. */
  describe(): string {
    const { processes } = this.#settings;
    const shape = processes === 1 ? '' : ` in each of ${processes} processes`;
    return `serving ${this.#mounts.describe()}${shape} at ${this.#addresses.join(', ')}`;
  }

  /**
   * Stops accepting, finishes what runs within the grace period, ends the workers. Idempotent. Resolves with false when
   * a worker is stuck inside Python, where only the end of the process ends it, and when an application is still being
   * imported: listen() then rejects with LIDO_SHUTTING_DOWN as soon as it is.
   */
  close(): Promise<boolean> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<boolean> {
    const stopped = this.#listeners.map(stopAccepting);
    await this.#mounts.drain(this.#settings.gracefulTimeout * 1000);
    for (const listener of this.#listeners) listener.closeAllConnections();
    await Promise.all(stopped);
    return this.#mounts.close();
  }

  /** Seconds; 0 where a mount has no limit. */
  #longestSendTimeout(): number {
    const timeouts = expandMounts(this.#settings).map(([, { sendTimeout }]) => sendTimeout);
    return timeouts.includes(0) ? 0 : Math.max(...timeouts);
  }

  async #open(address: BindAddress): Promise<void> {
    const { headerTimeout, keepalive } = this.#settings;
    const listener = http.createServer({
      requireHostHeader: false, // the gate asks for it, with an answer of its own
      insecureHTTPParser: false,
      highWaterMark: 64 * 1024,
      keepAliveTimeout: keepalive * 1000,
      headersTimeout: headerTimeout * 1000,
      requestTimeout: 0, // a large upload may take its time; request-body.ts looks after clients that stall
      connectionsCheckingInterval: CONNECTION_CHECK_MS,
      maxHeaderSize: Math.max(...expandMounts(this.#settings).map(([, own]) => countHeadBytes(own))),
    });
    listener.maxHeadersCount = 0;
    answerHalfClosed(listener);
    dropStalledClients(listener, this.#longestSendTimeout() * 1000);
    const handle = (request: http.IncomingMessage, response: http.ServerResponse) =>
      takeIn(request, response, null, this.#mounts.handle);
    listener.on('request', handle);
    listener.on('checkContinue', handle);
    listener.on('checkExpectation', handle);
    listener.on('connect', answerConnect);
    listener.on('clientError', answerClientError);
    // The supervisor has seen to it, and another process may listen there by now.
    if (this.#settings.processes === 1) await removeStaleSocket(address);
    await bindListener(listener, address);
    if (this.#closed !== null) {
      listener.close();
      throw new LidoError('LIDO_SHUTTING_DOWN');
    }
    this.#listeners.push(listener);
    this.#addresses = [
      ...this.#addresses,
      formatAddress(address, listener.address() as AddressInfo | string | null),
    ];
  }
}

/** The longest head that the gate lets through. */
function countHeadBytes({ limitRequestLine, limitRequestFields, limitRequestFieldSize }: Settings): number {
  return limitRequestLine + limitRequestFields * limitRequestFieldSize;
}

function bindListener(listener: http.Server, address: BindAddress): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    listener.once('error', (error: NodeJS.ErrnoException) => reject(explainBindError(error, address)));
    listener.listen(address, () => {
      listener.removeAllListeners('error');
      resolve();
    });
  });
}

function explainBindError(error: NodeJS.ErrnoException, address: BindAddress): LidoError {
  const remedies: Record<string, string> = {
    EADDRINUSE: 'another process listens there: stop it, or choose another with --bind',
    EACCES: 'this user may not: choose a port above 1023 or another path with --bind',
    EADDRNOTAVAIL: 'this machine has no such address: choose one of its own, or 0.0.0.0, with --bind',
    ENOTFOUND: 'the name does not resolve: use an address with --bind',
  };
  const code = error.code ?? error.message;
  return new LidoError(
    'LIDO_CANNOT_LISTEN',
    [formatAddress(address, null), code, remedies[code] ?? 'choose another address with --bind'],
    { cause: error },
  );
}

function stopAccepting(listener: http.Server): Promise<void> {
  return new Promise((resolve) => {
    listener.close(() => resolve());
    listener.closeIdleConnections();
  });
}
