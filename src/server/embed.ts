/** Main thread. Lido inside another program: a request handler, or a whole server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApplicationStats } from '../application/application.js';
import { MountTable } from '../application/mounts.js';
import { describe, LidoError } from '../contract/errors.js';
import { encodeAsLatin1 } from '../http/environ.js';
import { findMountPoint } from '../http/mount-point.js';
import { type MakeSink, takeIn } from '../http/node-request.js';
import { asksNodeForWebSocket, giveBack, holdUpgrade } from '../http/node-upgrade.js';
import { answerRefusal } from '../http/refusal.js';
import { PLAIN_CONTEXT, type RequestContext } from '../http/request-context.js';
import { createLog, type Log } from '../log.js';
import { Observation } from '../observe/observation.js';
import type { PlacedMistake } from '../settings/mistake.js';
import { resolveUserSettings, type Settings, type UserSettings } from '../settings/resolve.js';
import { type NameInScope, namesInScope, type SettingScope } from '../settings/table.js';
import { createServer as createServerOf, type Server } from './server.js';

interface Logging {
  /** A pino logger, or what has its `error`, `warn` and `info`. By default Lido's own, to standard error. */
  readonly log?: Log;
}

/** Text for the environ by its keys, such as `{ REMOTE_USER: 'ada' }`. */
export type EnvironAdditions = Readonly<Record<string, string>>;

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

/** Makes a handler; nothing is started before ready() or the first request. Throws LIDO_WRONG_OPTION for wrong options. */
export function createHandler(options: HandlerOptions): Handler {
  const { log: given, environ, ...user } = options ?? {};
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
  const { log, ...user } = options ?? {};
  const settings = resolveEmbedded(user, { log }, ['process']);
  return createServerOf(settings, { log: log ?? createLog(settings) });
}

const NOT_LIDOS = 'not for Lido to set inside another program: do so there';

/** What a program hands over beside settings. */
interface Callbacks {
  readonly log?: Log | undefined;
  readonly environ?: ((request: never) => EnvironAdditions) | undefined;
}

/** The settings of a program that embeds Lido. Throws LIDO_WRONG_OPTION, also for one that would do nothing here. */
export function resolveEmbedded(
  user: UserSettings,
  callbacks: Callbacks,
  scopes: readonly SettingScope[],
): Settings {
  const mistakes = [...findMissing(user), ...findWrongCallbacks(callbacks), ...findUnheard(user, callbacks)];
  return resolveUserSettings(user, namesInScope(...scopes), NOT_LIDOS, mistakes);
}

function findMissing({ application, mounts }: UserSettings): PlacedMistake[] {
  if (application !== undefined || mounts !== undefined) return [];
  const text = 'is missing: name what to serve, for example hello.js:application or shop.wsgi:application';
  return [{ place: 'option application', text }];
}

function findWrongCallbacks({ log, environ }: Callbacks): PlacedMistake[] {
  const found: PlacedMistake[] = [];
  if (environ !== undefined && (typeof environ !== 'function' || isAsync(environ)))
    found.push({ place: 'option environ', text: `takes a function that is not async, not ${show(environ)}` });
  if (log !== undefined && !isLog(log))
    found.push({
      place: 'option log',
      text: `takes a pino logger or what has its error(), warn() and info(), not ${show(log)}`,
    });
  return found;
}

/** Settings of a log that is not made where one is given. */
function findUnheard(user: UserSettings, { log }: Callbacks): PlacedMistake[] {
  if (log === undefined) return [];
  const names = (['logLevel', 'logFormat'] as const).filter((name) => user[name] !== undefined);
  return names.map((name) => ({ place: `option ${name}`, text: 'the log that is given has its own' }));
}

function isAsync(given: object): boolean {
  return Object.prototype.toString.call(given) === '[object AsyncFunction]';
}

function isLog(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false;
  return ['error', 'warn', 'info'].every((level) => typeof (given as never)[level] === 'function');
}

function show(given: unknown): string {
  if (typeof given === 'function') return isAsync(given) ? 'an async function' : 'a function';
  return JSON.stringify(given) ?? String(given);
}

/** Applications that start once, serve, and close once. */
export class EmbeddedApplications {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #observation: Observation;
  readonly #mounts: MountTable;
  #isReady = false;
  #started: Promise<void> | null = null;
  #closed: Promise<void> | null = null;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#observation = new Observation(settings, log);
    this.#mounts = new MountTable(settings, log, { observation: this.#observation });
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Takes a request from node:http, or from whatever speaks its interface; only once ready() has resolved. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext,
    makeSink: MakeSink | null = null,
  ): void {
    const { budget, handle } = this.#mounts;
    takeIn(request, response, makeSink, budget, (own, sink) => handle(own, sink, context));
  }

  /** Starts the workers, on the first call; later calls wait for the same start. Rejects with LIDO_SHUTTING_DOWN after close(). */
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

  /** True where an application takes WebSockets; known once ready() has resolved. */
  get takesWebSockets(): boolean {
    return this.#mounts.takesWebSockets;
  }

  async #start(): Promise<void> {
    try {
      await this.#observation.open();
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
    await this.#observation.close();
  }
}

/** Additions as the environ holds them. Throws TypeError for what is no object of texts. */
export function encodeAdditions(additions: EnvironAdditions): EnvironAdditions {
  if (additions instanceof Promise) throw new TypeError('environ gave a promise, not an object of texts');
  if (typeof additions !== 'object' || additions === null)
    throw new TypeError(`environ gave ${additions}, not an object of texts`);
  const entries = Object.entries(additions).map(([key, value]) => {
    if (typeof value !== 'string') throw new TypeError(`environ: ${key} is ${typeof value}, not a string`);
    return [encodeAsLatin1(key), encodeAsLatin1(value)];
  });
  return Object.fromEntries(entries);
}
