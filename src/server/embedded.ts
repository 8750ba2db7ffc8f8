/** Main thread. What every door into another program has: options that are checked, and applications that start, serve and close once. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationStats } from '../application/application-stats.js';
import { MountTable } from '../application/mounts.js';
import { LidoError } from '../contract/errors.js';
import type { EnvironAdditions } from '../http/environ-additions.js';
import { type MakeSink, takeIn } from '../http/node-request.js';
import type { RequestContext } from '../http/request-context.js';
import type { Log } from '../log.js';
import { Observation } from '../observe/observation.js';
import type { PlacedMistake } from '../settings/mistake.js';
import { resolveUserSettings, type Settings, type UserSettings } from '../settings/resolve.js';
import { namesInScope, type SettingScope } from '../settings/table.js';

const NOT_LIDOS = 'not for Lido to set inside another program: do so there';

/** What a program hands over beside settings. */
interface Callbacks {
  readonly log?: Log | undefined;
  readonly environ?: ((request: never) => EnvironAdditions) | undefined;
}

/** The options, none where nothing was given. Throws LIDO_WRONG_OPTION for a name alone, of which each character would be an option. */
export function checkObject<Options extends object>(options: Options): Options {
  if (options === undefined || typeof options === 'object') return options ?? {};
  const text = `are an object, such as { application: 'hello.js' }, not ${show(options)}`;
  throw new LidoError('LIDO_WRONG_OPTION', ['the options', text]);
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

const SETTLED = () => true;

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
    const graceMs = this.#settings.gracefulTimeout * 1000;
    const end = performance.now() + graceMs;
    // What is starting cannot be stopped before it has started, and may never have.
    const started = this.#started?.then(SETTLED, SETTLED) ?? true;
    const isSettled = await Promise.race([started, sleep(graceMs, false, { ref: false })]);
    await this.#mounts.drain(Math.max(0, end - performance.now()));
    if (!(await this.#mounts.close()))
      this.#log.warn(
        isSettled
          ? 'a worker is stuck inside Python: its thread ends with the process'
          : 'an application is still being loaded: nobody waits for it any more',
      );
    await this.#observation.close();
  }
}
