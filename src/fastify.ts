/** Main thread. Lido as a Fastify plugin: the only file that knows Fastify. */
import { AsyncResource } from 'node:async_hooks';
import { type IncomingMessage, METHODS, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest, RegisterOptions } from 'fastify';
import type { ApplicationStats } from './application/application-stats.js';
import { LidoError } from './contract/errors.js';
import { type Connection, describeConnection } from './http/connection.js';
import { decodePath, encodeAsLatin1 } from './http/environ.js';
import { type EnvironAdditions, encodeAdditions } from './http/environ-additions.js';
import { asksNodeForWebSocket, giveBack, holdAgain, holdUpgrade, noteUpgrade } from './http/node-upgrade.js';
import { type ReplyActions, ReplySink } from './http/reply-sink.js';
import { parseTarget } from './http/target.js';
import { EmbeddedApplications, resolveEmbedded } from './server/embedded.js';
import { throwMistakes } from './settings/mistake.js';
import type { UserSettings } from './settings/resolve.js';
import type { NameInScope, SettingName } from './settings/table.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** The applications that Lido serves here, once it is registered. */
    readonly lido: LidoControls;
  }
}

/** Settings that Fastify or the plugin's surroundings have in their own way, each with what to do there. */
const ELSEWHERE = {
  mounts: 'register Lido once for each',
  logLevel: "the log is Fastify's: Fastify({ logger: { level } })",
  logFormat: "the log is Fastify's: Fastify({ logger: { transport } })",
  forwardedAllowIps: "Fastify says whom to believe: Fastify({ trustProxy: '10.0.0.0/8' })",
  forwardedFields: 'Fastify reads X-Forwarded-For, -Host and -Proto with its trustProxy',
} as const satisfies Partial<Record<SettingName, string>>;

/** Lido's settings, save those that are Fastify's business. Several applications are several registrations. */
export interface LidoOptions
  extends Omit<UserSettings, NameInScope<'process' | 'listener'> | keyof typeof ELSEWHERE | 'application'> {
  readonly application: string;
  /** Adds to a request's environ, such as `{ REMOTE_USER: request.user.name }`; called after the hooks. */
  environ?(request: FastifyRequest): EnvironAdditions;
}

/** `app.lido`: all applications that were registered at this instance of Fastify, or below it. */
export interface LidoControls {
  /** Each application by the prefix that it is registered at. */
  stats(): readonly ApplicationStats[];
  /** Resolves when every application is loaded; rejects with the LidoError of one that cannot be, as app.ready() does. */
  ready(): Promise<void>;
  /**
   * Loads the code of the application at this prefix anew, or that of all; no request is lost. Rejects with a LidoError
   * where the new code fails and the old goes on, and with LIDO_PYTHON_NOT_RELOADABLE for Python.
   */
  reload(prefix?: string): Promise<void>;
}

/**
 * `await app.register(lido, { application: 'shop.wsgi:application', prefix: '/shop' })`: every request below the prefix
 * goes to the application, whose SCRIPT_NAME it is. `app.lido` is there from then on.
 *
 * What is done to parsers and methods stays below the prefix: hooks of its surroundings apply to it, its parsers to
 * nothing else, and it can be registered as often as there are applications. Throws LIDO_WRONG_OPTION for wrong options;
 * ready() rejects with a LidoError when the application cannot be loaded, close() drains.
 */
export async function lido(app: FastifyInstance, options: LidoOptions & RegisterOptions): Promise<void> {
  refuseHttp2(app);
  refuseElsewhere(options);
  if (!app.hasDecorator('lido')) app.decorate('lido', new Registrations());
  await app.register(serveApplication, options);
}

async function serveApplication(app: FastifyInstance, options: LidoOptions & RegisterOptions): Promise<void> {
  const { prefix: _, logLevel: __, logSerializers: ___, environ, ...user } = options;
  const settings = resolveEmbedded(user, { log: app.log, environ }, ['process', 'listener']);
  const applications = new EmbeddedApplications(settings, app.log);
  (app.lido as Registrations).add(app.prefix, applications);
  const depth = countSegments(app.prefix);

  const describeContext = (request: FastifyRequest) => ({
    scriptName: readScriptName(request, depth),
    url: null,
    environ: environ === undefined ? null : encodeAdditions(environ(request)),
    requestId: encodeAsLatin1(request.id),
    log: request.log,
    connection: describeClient(request),
  });
  leaveBodiesAlone(app);
  addMethods(app);
  // A hook, since @fastify/websocket takes the place of handlers, and closes what is for none of its own.
  app.addHook('preHandler', (request, reply, done) => {
    if (!applications.takesWebSockets || !holdAgain(request.raw, reply.raw)) {
      done();
      return;
    }
    const context = describeContext(request);
    reply.hijack();
    applications.handle(request.raw, reply.raw, context);
  });
  routeAll(app, (request, reply) => {
    const context = describeContext(request);
    const actions = describeActions(reply, settings.debug);
    const makeSink = (closes: boolean) => new ReplySink(reply, actions, closes);
    applications.handle(request.raw, reply.raw, context, makeSink);
  });

  app.addHook('onReady', async () => {
    await applications.ready();
    if (applications.takesWebSockets) routeUpgrades(app);
  });
  // Not awaited: it waits for what runs, as Fastify does right after; and what outlives gracefulTimeout is ended by it.
  app.addHook('preClose', async () => void applications.close());
  app.addHook('onClose', () => applications.close());
}

class Registrations implements LidoControls {
  readonly #byPrefix = new Map<string, EmbeddedApplications>();

  add(prefix: string, applications: EmbeddedApplications): void {
    this.#byPrefix.set(prefix === '' ? '/' : prefix, applications);
  }

  stats(): readonly ApplicationStats[] {
    return [...this.#byPrefix].flatMap(([mount, applications]) =>
      applications.stats().map((stats) => ({ ...stats, mount })),
    );
  }

  async ready(): Promise<void> {
    await Promise.all([...this.#byPrefix.values()].map((applications) => applications.ready()));
  }

  async reload(prefix?: string): Promise<void> {
    await Promise.all(this.#choose(prefix).map((applications) => applications.reload()));
  }

  #choose(prefix: string | undefined): EmbeddedApplications[] {
    if (prefix === undefined) return [...this.#byPrefix.values()];
    const applications = this.#byPrefix.get(prefix);
    if (applications !== undefined) return [applications];
    const known = [...this.#byPrefix.keys()].join(', ');
    throw new LidoError('LIDO_WRONG_OPTION', [
      'reload',
      `nothing is registered at ${prefix}, but at ${known}`,
    ]);
  }
}

/** Its requests have no Host field, no HTTP version that PEP 3333 could tell, and come on one connection all at once. */
function refuseHttp2(app: FastifyInstance): void {
  if (app.initialConfig.http2 === true)
    throw new LidoError('LIDO_WRONG_OPTION', [
      'Fastify({ http2: true })',
      'Lido answers HTTP/1.1 alone: let a proxy in front speak HTTP/2',
    ]);
}

function refuseElsewhere(options: object): void {
  const names = (Object.keys(ELSEWHERE) as (keyof typeof ELSEWHERE)[]).filter(
    // Fastify has a logLevel for each plugin, too.
    (name) => name !== 'logLevel' && (options as Record<string, unknown>)[name] !== undefined,
  );
  throwMistakes(
    names.map((name) => ({ place: `option ${name}`, text: ELSEWHERE[name] })),
    'LIDO_WRONG_OPTION',
  );
}

/** Fastify's parsers would read the body, and refuse types that they do not know. */
function leaveBodiesAlone(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
}

/** Fastify knows nine methods by itself; WebDAV's and others are for the application to answer. */
function addMethods(app: FastifyInstance): void {
  for (const method of METHODS)
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method);
}

/** Servers whose 'upgrade' event is heard already. */
const routed = new WeakSet<object>();

/**
 * Lets requests for WebSockets take the way of all others: hooks first. Where @fastify/websocket is registered it does that,
 * and its own routes stay its own.
 */
function routeUpgrades(app: FastifyInstance): void {
  const { server } = app;
  if (routed.has(server)) return;
  routed.add(server);
  server.prependListener('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (app.hasDecorator('websocketServer')) noteUpgrade(request, socket, head);
    else if (asksNodeForWebSocket(request)) app.routing(request, holdUpgrade(request, socket, head));
    else giveBack(request, socket, head);
  });
}

function routeAll(
  app: FastifyInstance,
  handler: (request: FastifyRequest, reply: FastifyReply) => void,
): void {
  const method = app.supportedMethods;
  // What answers every path has no place in a description of the API, such as @fastify/swagger writes.
  const schema: object = { hide: true };
  const route = { method, handler, schema, exposeHeadRoute: false } as const;
  try {
    app.route({ ...route, url: '/*' });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'FST_ERR_DUPLICATED_ROUTE') throw error;
    throw new LidoError(
      'LIDO_WRONG_OPTION',
      [`prefix ${app.prefix || '/'}`, 'something is served there already: give each a prefix of its own'],
      { cause: error },
    );
  }
  // Without a prefix "/" is left to a route of its own, where the service has one.
  if (app.prefix !== '') app.route({ ...route, url: '/', prefixTrailingSlash: 'no-slash' });
}

function countSegments(path: string): number {
  return path.split('/').filter((segment) => segment !== '').length;
}

/** As much of the path as the prefix stands for: it may have parameters, and be matched regardless of case. */
function readScriptName(request: FastifyRequest, depth: number): string {
  const { path } = parseTarget(request.raw.url ?? '/');
  let end = 0;
  for (let left = depth; left > 0; left -= 1) {
    while (path[end] === '/') end += 1;
    const slash = path.indexOf('/', end);
    end = slash < 0 ? path.length : slash;
  }
  return decodePath(path.slice(0, end));
}

/** With `trustProxy` Fastify knows better than the socket who asks. */
function describeClient(request: FastifyRequest): Connection | null {
  const connection = describeConnection(request.raw);
  const { ip, protocol } = request;
  if (ip === connection.remoteAddress && protocol === connection.scheme) return null;
  const { serverName, serverPort } = connection;
  return { scheme: protocol, host: null, serverName, serverPort, remoteAddress: ip, remotePort: '' };
}

/** What a worker says is heard outside the request's asynchronous context, where tracing would lose it. */
function describeActions(reply: FastifyReply, debug: boolean): ReplyActions {
  const context = new AsyncResource('LidoReply');
  return {
    send: (payload) => void context.runInAsyncScope(() => reply.send(payload)),
    run: (action) => context.runInAsyncScope(action),
    fail: (error, fields) => {
      if (reply.sent) return;
      context.runInAsyncScope(() => reply.headers(fields).send(showError(error, debug)));
    },
  };
}

/**
 * Fastify's own error handler shows an error's message to the client. What went wrong inside is not for its eyes, unless
 * `debug` says so: it is the `cause`.
 */
function showError(error: LidoError, debug: boolean): LidoError {
  const { code, remedy, status = 500, traceback, message } = error;
  if (status < 500) return error;
  const details = traceback === undefined ? { cause: error, status } : { cause: error, status, traceback };
  const shown = debug ? (traceback ?? message) : (STATUS_CODES[status] ?? '');
  return new LidoError(code, [], details).reword(shown, remedy);
}

const plugin = {
  // `app.lido` is for the surroundings; what serves is registered apart from them, within.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'lido',
  [Symbol.for('plugin-meta')]: { name: 'lido', fastify: '5.x' },
};

export default Object.assign(lido, plugin);
