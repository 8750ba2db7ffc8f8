/** Main thread. What a span says of its request, by OpenTelemetry's semantic conventions for HTTP (stable since 1.23). Pure. */
import type { Connection } from '../http/connection.js';
import type { HttpRequest } from '../http/request.js';
import type { FinishedRequest } from './finished-request.js';

export type Attributes = Record<string, string | number>;

/** RFC 9110, section 9, and RFC 5789: anybody may invent others, and each would be a name of its own. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);
/** What the conventions want blotted out: signatures that let in whoever has them. */
const SECRETS = /(?<=[?&](?:AWSAccessKeyId|Signature|sig|X-Goog-Signature)=)[^&]+/g;

/** The span's name: the method alone, for which route a path belongs to only the application knows. */
export function nameSpan(method: string): string {
  return METHODS.has(method) ? method : 'HTTP';
}

/** What is known when the request has come. `url` is its target as the client sent it. */
export function describeRequest(request: HttpRequest, url: string, client: Connection): Attributes {
  const { method, version, connection: peer } = request;
  const mark = url.indexOf('?');
  const attributes: Attributes = {
    'http.request.method': METHODS.has(method) ? method : '_OTHER',
    'url.scheme': client.scheme,
    'url.path': mark < 0 ? url : url.slice(0, mark),
    'network.protocol.version': version,
    ...describeServer(client, request.field('host')),
  };
  if (!METHODS.has(method)) attributes['http.request.method_original'] = method;
  if (mark >= 0) attributes['url.query'] = url.slice(mark).replace(SECRETS, 'REDACTED').slice(1);
  const agent = request.field('user-agent');
  if (agent !== undefined) attributes['user_agent.original'] = agent;
  // Over a Unix socket nobody has an address.
  if (client.remoteAddress !== '') attributes['client.address'] = client.remoteAddress;
  if (peer.remoteAddress !== '') {
    attributes['network.peer.address'] = peer.remoteAddress;
    attributes['network.peer.port'] = Number(peer.remotePort);
  }
  return attributes;
}

/** What is known at its end. */
export function describeEnd(request: FinishedRequest): Attributes {
  const attributes: Attributes = {
    'lido.request_id': request.requestId,
    'lido.mount': request.mount,
    'lido.queue.duration': request.waitMs / 1000,
    'lido.application.duration': request.applicationMs / 1000,
  };
  if (request.isAnswered) attributes['http.response.status_code'] = request.status;
  return attributes;
}

/** By the name that the client used, where it used one. */
function describeServer(
  { host, scheme, serverName, serverPort }: Connection,
  field: string | undefined,
): Attributes {
  const named = host ?? field ?? '';
  const [, name = '', port = ''] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(named) ?? [];
  const known = name === '' ? serverPort : port === '' ? (scheme === 'https' ? '443' : '80') : port;
  const address: Attributes = { 'server.address': name === '' ? serverName : name };
  return known === '' ? address : { ...address, 'server.port': Number(known) };
}
