/** Main thread. Lido inside another program: a request handler, or a whole server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApplicationStats } from '../application/application.js';
import { encodeAsLatin1, MountTable } from '../application/mounts.js';
import { describe, LidoError } from '../contract/errors.js';
import { findMountPoint } from '../http/mount-point.js';
import { takeIn } from '../http/node-request.js';
import { answerRefusal } from '../http/refusal.js';
import { PLAIN_CONTEXT, type RequestContext } from '../http/request-context.js';
import { createLog, type Log } from '../log.js';
import { resolveUserSettings, type Settings, type UserSettings } from '../settings/resolve.js';
import { type NameInScope, namesInScope, type SettingScope } from '../settings/table.js';
import { createServer as createServerOf, type Server } from './server.js';

interface Logging {
  /** A pino logger, or what has its `error`, `warn` and `info`. By default Lido's own, to standard error. */
  readonly log?: Log;
}

/** Text for the environ by its keys, such as `{ REMOTE_USER: 'ada' }`. */
export type EnvironAdditions = Readonly<Record<string, string>>;

/** The settings, save those of the process: `chdir` and `env` are the program's own business. */
export type ServerOptions = Omit<UserSettings, NameInScope<'process'>> & Logging;

/** The settings, save those of the process and of its sockets, which are the program's own business. */
export type HandlerOptions = Omit<UserSettings, NameInScope<'process' | 'listener'>> &
  Logging & {
    /** Adds to a request's environ; called for each, and what it throws is answered with 500. */
    environ?(request: IncomingMessage): EnvironAdditions;
  };

/** A request listener for node:http, middleware for Express and Connect. */
export interface Handler {
  (request: IncomingMessage, response: ServerResponse): void;
  /**
   * Starts the workers. Resolves when every application is loaded; rejects with a LidoError, whose `traceback` is the
   * application's. The first request does the same.
   */
  ready(): Promise<void>;
  /** Loads each application's code anew, as the server's reload() does. */
  reload(): Promise<void>;
  /** Finishes what runs within `gracefulTimeout`, then ends the workers. Later requests are answered with 503. Idempotent. */
  close(): Promise<void>;
  /** What each application is at. */
  stats(): readonly ApplicationStats[];
}

/** Makes a handler; nothing is started before ready() or the first request. Throws LIDO_WRONG_SETTING for wrong settings. */
export function createHandler({ log: given, environ, ...user }: HandlerOptions): Handler {
  const settings = resolveEmbedded(user, given, ['process', 'listener']);
  const log = given ?? createLog(settings);
  const embedded = new EmbeddedApplications(settings, log);
  const refuse = (request: IncomingMessage, response: ServerResponse, status: number) =>
    takeIn(request, response, null, (own, sink) =>
      answerRefusal(own, sink, { status, reason: '' }, settings.sendTimeout * 1000),
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

  return Object.assign(handle, {
    ready: () => embedded.ready(),
    reload: () => embedded.reload(),
    close: () => embedded.close(),
    stats: () => embedded.stats(),
  });
}

/** Makes a server; nothing is started before listen(). Throws LIDO_WRONG_SETTING for wrong settings. */
export function createServer({ log, ...user }: ServerOptions): Server {
  const settings = resolveEmbedded(user, log, ['process']);
  return createServerOf(settings, { log: log ?? createLog(settings) });
}

const NOT_LIDOS = 'not for Lido to set inside another program: do so there';

/** The settings of a program that embeds Lido. Throws LIDO_WRONG_SETTING, also for one that would do nothing here. */
export function resolveEmbedded(
  user: UserSettings,
  log: Log | undefined,
  scopes: readonly SettingScope[],
): Settings {
  const settings = resolveUserSettings(user, namesInScope(...scopes), NOT_LIDOS);
  for (const name of ['logLevel', 'logFormat'] as const)
    if (log !== undefined && user[name] !== undefined)
      throw new LidoError('LIDO_WRONG_SETTING', [`option ${name}`, 'the log that is given has its own']);
  return settings;
}

/** Applications that start once, serve, and close once. */
export class EmbeddedApplications {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #mounts: MountTable;
  #isReady = false;
  #started: Promise<void> | null = null;
  #closed: Promise<void> | null = null;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#mounts = new MountTable(settings, log);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Takes a request from node:http, or from whatever speaks its interface; only once ready() has resolved. */
  handle(request: IncomingMessage, response: ServerResponse, context: RequestContext): void {
    takeIn(request, response, context.host, (own, sink) => this.#mounts.handle(own, sink, context));
  }

  /** Starts the workers, once. Rejects with LIDO_SHUTTING_DOWN after close(). */
  ready(): Promise<void> {
    if (this.#started === null && this.#closed !== null)
      return Promise.reject(new LidoError('LIDO_SHUTTING_DOWN'));
    this.#started ??= this.#start();
    return this.#started;
  }

  async reload(): Promise<void> {
    await this.ready();
    await this.#mounts.reload();
  }

  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  stats(): readonly ApplicationStats[] {
    return this.#mounts.stats();
  }

  async #start(): Promise<void> {
    try {
      await this.#mounts.start();
      this.#isReady = true;
    } catch (error) {
      // Other mounts may have started.
      await this.#mounts.close();
      throw error;
    }
  }

  async #drain(): Promise<void> {
    // What is starting cannot be stopped before it has started.
    await this.#started?.catch(() => {});
    await this.#mounts.drain(this.#settings.gracefulTimeout * 1000);
    if (!(await this.#mounts.close()))
      this.#log.warn('a worker is stuck inside Python: its thread ends with the process');
  }
}

/** Additions as the environ holds them. Throws TypeError for what is not text. */
export function encodeAdditions(additions: EnvironAdditions): EnvironAdditions {
  const entries = Object.entries(additions).map(([key, value]) => {
    if (typeof value !== 'string') throw new TypeError(`environ: ${key} is ${typeof value}, not a string`);
    return [encodeAsLatin1(key), encodeAsLatin1(value)];
  });
  return Object.fromEntries(entries);
}
