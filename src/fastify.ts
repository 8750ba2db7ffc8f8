/** Main thread. Lido as a Fastify plugin: the only file that knows Fastify. */
import { METHODS, STATUS_CODES } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { encodeAsLatin1 } from './application/mounts.js';
import { LidoError } from './contract/errors.js';
import { type Connection, describeConnection } from './http/connection.js';
import { decodePath } from './http/environ.js';
import type { ReplyHost, RequestContext } from './http/request-context.js';
import { parseTarget } from './http/target.js';
import {
  EmbeddedApplications,
  type EnvironAdditions,
  encodeAdditions,
  resolveEmbedded,
} from './server/embed.js';
import type { UserSettings } from './settings/resolve.js';
import type { NameInScope } from './settings/table.js';

/** Lido's settings, save those that are Fastify's business. Several applications are several registrations. */
export interface LidoOptions
  extends Omit<
    UserSettings,
    NameInScope<'process' | 'listener'> | 'application' | 'mounts' | 'logLevel' | 'logFormat'
  > {
  readonly application: string;
  /** Adds to a request's environ, such as `{ REMOTE_USER: request.user.name }`; called after the hooks. */
  environ?(request: FastifyRequest): EnvironAdditions;
}

/** What register() reads itself. `logLevel` here is that of Fastify's log. */
interface RegisterOptions {
  readonly prefix?: string;
  readonly logLevel?: string;
  readonly logSerializers?: unknown;
}

/**
 * `await app.register(lido, { application: 'shop.wsgi:application', prefix: '/shop' })`: every request below the prefix
 * goes to the application, whose SCRIPT_NAME it is.
 *
 * The plugin keeps to itself what it does to Fastify (it is not wrapped by fastify-plugin), so that hooks of its
 * surroundings apply to it, its parsers to nothing else, and it can be registered as often as there are applications.
 * ready() rejects with a LidoError when the application cannot be loaded, close() drains.
 */
export async function lido(app: FastifyInstance, options: LidoOptions & RegisterOptions): Promise<void> {
  const { prefix: _, logLevel: __, logSerializers: ___, environ, ...user } = options;
  if ('mounts' in user)
    throw new LidoError('LIDO_WRONG_OPTION', ['option mounts', 'register Lido once for each']);
  const settings = resolveEmbedded(user, { log: app.log, environ }, ['process', 'listener']);
  const applications = new EmbeddedApplications(settings, app.log);
  const depth = countSegments(app.prefix);

  leaveBodiesAlone(app);
  addMethods(app);
  routeAll(app, (request, reply) => {
    applications.handle(request.raw, reply.raw, {
      scriptName: readScriptName(request, depth),
      url: null,
      environ: environ === undefined ? null : encodeAdditions(environ(request)),
      requestId: encodeAsLatin1(request.id),
      log: request.log,
      connection: describeClient(request),
      host: hostReply(reply, settings.debug),
    } satisfies RequestContext);
  });

  app.addHook('onReady', () => applications.ready());
  // Not awaited: it waits for what runs, as Fastify does right after; and what outlives gracefulTimeout is ended by it.
  app.addHook('preClose', async () => void applications.close());
  app.addHook('onClose', () => applications.close());
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

function routeAll(
  app: FastifyInstance,
  handler: (request: FastifyRequest, reply: FastifyReply) => void,
): void {
  const method = app.supportedMethods;
  const route = { method, handler, exposeHeadRoute: false } as const;
  app.route({ ...route, url: '/*' });
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

function hostReply(reply: FastifyReply, debug: boolean): ReplyHost {
  let isTaken = false;
  return {
    takeOver: () => {
      if (isTaken) return true;
      if (reply.sent) return false;
      isTaken = true;
      reply.hijack();
      keepFields(reply);
      return true;
    },
    fail: (error, fields) => {
      if (!reply.sent) reply.headers(fields).send(showError(error, debug));
    },
  };
}

/** Fields that say how the body is framed, which is Lido's to say. */
const FRAMING = ['content-length', 'transfer-encoding'];

/** What hooks have set, such as cookies and CORS, goes out with the application's own head. */
function keepFields(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined && !FRAMING.includes(name)) reply.raw.setHeader(name, value);
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
  [Symbol.for('fastify.display-name')]: 'lido',
  [Symbol.for('plugin-meta')]: { name: 'lido', fastify: '5.x' },
};

export default Object.assign(lido, plugin);
