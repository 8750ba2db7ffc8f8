/** Main thread. A request's names: its id and its trace, in the log, in the environ, and in the answer where that is wanted. */
import { randomBytes } from 'node:crypto';
import type { ForwardedField, Trust } from '../settings/trusted-proxies.js';
import type { HttpRequest } from './request.js';
import { readTraceId } from './trace-context.js';

/** The names as log lines have them. */
export interface RequestNames {
  readonly requestId: string;
  /** W3C Trace Context's; not there where nobody traces. */
  readonly traceId?: string;
}

/** By which names requests are known; whom to believe is a setting. */
export interface RequestNaming {
  /** The id of a request: the proxy's, or a new one; null stands for what was no request. */
  readonly idOf: (request: HttpRequest | null) => string;
  /** Whether the request continues the trace that its `traceparent` field names. */
  readonly trustsTrace: (request: HttpRequest) => boolean;
}

/** What tools make: UUIDs, ULIDs, base64, Heroku's and AWS's; nothing that could break a line or run in a page. */
const ID = /^[\w.:+/=@-]{1,200}$/;

/**
 * New ids are short, and differ between processes and restarts. A proxy that is trusted with `x-request-id` or with
 * `traceparent` has a word in it: its own log and Lido's then speak of a request by one name.
 */
export function createRequestNaming(trust: Trust | null): RequestNaming {
  const prefix = randomBytes(4).toString('hex');
  let count = 0;
  const makeId = () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
  const believes = (field: ForwardedField) => trust?.fields.has(field) === true;
  const comesFromProxy = ({ connection }: HttpRequest) => trust?.includes(connection.remoteAddress) === true;
  const takeId = (request: HttpRequest | null) => {
    const given = request?.field('x-request-id');
    const isTaken = given !== undefined && ID.test(given) && comesFromProxy(request as HttpRequest);
    return isTaken ? given : makeId();
  };
  return {
    idOf: believes('x-request-id') ? takeId : makeId,
    trustsTrace: believes('traceparent') ? comesFromProxy : () => false,
  };
}

/** The names of a request that no application gets to see. */
export function nameRequest(
  naming: RequestNaming,
  request: HttpRequest,
  requestId: string | null = null,
): RequestNames {
  const traceId = findTraceId(naming, request);
  const id = requestId ?? naming.idOf(request);
  return traceId === undefined ? { requestId: id } : { requestId: id, traceId };
}

/** The trace that a request belongs to, as whoever is trusted with that says. */
export function findTraceId({ trustsTrace }: RequestNaming, request: HttpRequest): string | undefined {
  return trustsTrace(request) ? readTraceId(request.field('traceparent')) : undefined;
}
