/**
 * Main thread. Lido inside another program: a request handler, or a whole server. What is exported here is the public API: its types
 * name no others than public ones, since a program's compiler reads whatever they name.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApplicationStats } from '../application/application-stats.js';
import { describe, type LidoError } from '../contract/errors.js';
import { type EnvironAdditions, encodeAdditions } from '../http/environ-additions.js';
import { findMountPoint } from '../http/mount-point.js';
import { takeIn } from '../http/node-request.js';
import { asksNodeForWebSocket, giveBack, holdUpgrade } from '../http/node-upgrade.js';
import { answerRefusal } from '../http/refusal.js';
import { PLAIN_CONTEXT } from '../http/request-context.js';
import { createLog, type Log } from '../log.js';
import type { UserSettings } from '../settings/resolve.js';
import type { NameInScope } from '../settings/table.js';
import { checkObject, EmbeddedApplications, resolveEmbedded } from './embedded.js';
import { createServer as createServerOf } from './server.js';

export type { EnvironAdditions } from '../http/environ-additions.js';

interface Logging {
  /** A pino logger, or what has its `error`, `warn` and `info`. By default Lido's own, to standard error. */
  readonly log?: Log;
}

/** The settings, save those of the process: `chdir` and `env` are the program's own business. One of `application` and `mounts` is there. */
export interface ServerOptions extends Omit<UserSettings, NameInScope<'process'>>, Logging {}

/** The settings, save those of the process and of its sockets too, which are the program's own business. */
export interface HandlerOptions extends Omit<UserSettings, NameInScope<'process' | 'listener'>>, Logging {
  /** Adds to a request's environ; called for each, and what it throws is answered with 500. */
  environ?(request: IncomingMessage): EnvironAdditions;
}

/** A request listener for node:http, middleware for Express and Connect. */
export interface Handler {
  (request: IncomingMessage, response: ServerResponse): void;
  /**
   * For the server's 'upgrade' event: `server.on('upgrade', handler.upgrade)`. WebSockets go to ASGI applications. What else
   * a client asks for there is ignored, and its request handled as any other.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /**
   * Starts the workers. Resolves when every application is loaded; rejects with a LidoError, whose `traceback` is the
   * application's. The first request does the same.
   */
  ready(): Promise<void>;
  /** Loads each application's code anew, as the server's reload() does; the settings stay as they are. */
  reload(): Promise<void>;
  /** Finishes what runs within `gracefulTimeout`, then ends the workers. Later requests are answered with 503. Idempotent. */
  close(): Promise<void>;
  /** Each application with its workers, how many of them are busy, and what waits. */
  stats(): readonly ApplicationStats[];
}

/** A server with sockets of its own. */
export interface Server {
  /** Where it listens, as URLs: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  readonly addresses: readonly string[];
  /** Where the admin listeners are, as URLs. */
  readonly adminAddresses: readonly string[];
  /**
   * Starts the workers, then listens. Rejects with a LidoError when the application or an address fails, LIDO_SHUTTING_DOWN where
   * close() came meanwhile.
   */
  listen(): Promise<void>;
  /** One line for people: what is served, by what, on how many threads, where. */
  describe(): string;
  /** Each application as it stands at this moment, by the path that it is mounted at. */
  stats(): readonly ApplicationStats[];
  /** Imports each application in a worker, without listening. */
  check(): Promise<readonly ApplicationStats[]>;
  /**
   * Loads each application's code anew, under the settings that it has; no request is lost. Resolves when the old workers have ended.
   * Rejects with the LidoError of the first that fails, whose old workers go on; with LIDO_PYTHON_NOT_RELOADABLE for Python.
   */
  reload(): Promise<void>;
  /**
   * Stops accepting, finishes what runs within `gracefulTimeout`, ends the workers. Idempotent. Resolves with false when a worker is
   * stuck inside Python, where only the end of the process ends it, and when an application is still being imported.
   */
  close(): Promise<boolean>;
}

/** Makes a handler; nothing is started before ready() or the first request. Throws LIDO_WRONG_OPTION for wrong options. */
export function createHandler(options: HandlerOptions): Handler {
  const { log: given, environ, ...user } = checkObject(options);
  const settings = resolveEmbedded(user, { log: given, environ }, ['process', 'listener']);
  const log = given ?? createLog(settings);
  const embedded = new EmbeddedApplications(settings, log);
  const refuse = (request: IncomingMessage, response: ServerResponse, status: number) =>
    takeIn(request, response, null, null, (own, sink) =>
      answerRefusal(own, sink, { status, reason: '' }, { sendTimeoutMs: settings.sendTimeout * 1000 }),
    );

  function serve(request: IncomingMessage, response: ServerResponse): void {
    let additions: EnvironAdditions | null = null;
    try {
      if (environ !== undefined) additions = encodeAdditions(environ(request));
    } catch (error) {
      log.error({ err: error }, `the option environ failed: ${describe(error)}`);
      refuse(request, response, 500);
      return;
    }
    embedded.handle(request, response, {
      ...PLAIN_CONTEXT,
      ...findMountPoint(request),
      environ: additions,
    });
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    if (embedded.isReady) {
      serve(request, response);
      return;
    }
    embedded.ready().then(
      () => serve(request, response),
      (error: LidoError) => {
        log.error({ code: error.code, traceback: error.traceback }, error.message);
        refuse(request, response, 503);
      },
    );
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (asksNodeForWebSocket(request)) handle(request, holdUpgrade(request, socket, head));
    else giveBack(request, socket, head);
  }

  return Object.assign(handle, {
    upgrade,
    ready: () => embedded.ready(),
    reload: () => embedded.reload(),
    close: () => embedded.close(),
    stats: () => embedded.stats(),
  });
}

/** Makes a server; nothing is started before listen(). Throws LIDO_WRONG_OPTION for wrong options. */
export function createServer(options: ServerOptions): Server {
  const { log, ...user } = checkObject(options);
  const settings = resolveEmbedded(user, { log }, ['process']);
  return createServerOf(settings, { log: log ?? createLog(settings) });
}
