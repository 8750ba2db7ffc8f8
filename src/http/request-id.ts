/** Main thread. A request's id: in the log, in the environ's `lido.request_id`, and in the answer where that is wanted. */
import { randomBytes } from 'node:crypto';
import type { Trust } from '../settings/trusted-proxies.js';
import type { HttpRequest } from './request.js';

/** What tools make: UUIDs, ULIDs, base64, Heroku's and AWS's; nothing that could break a line or run in a page. */
const ID = /^[\w.:+/=@-]{1,200}$/;

/**
 * Makes ids that are short, and differ between processes and restarts. A proxy that is trusted with `x-request-id` has a
 * word in it: its own log and Lido's then speak of a request by one name.
 */
export function createRequestIds(trust: Trust | null): (request: HttpRequest) => string {
  const prefix = randomBytes(4).toString('hex');
  let count = 0;
  const makeId = () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
  if (trust?.fields.has('x-request-id') !== true) return makeId;
  return (request) => {
    const given = request.field('x-request-id');
    const { remoteAddress } = request.connection;
    const isTaken = given !== undefined && ID.test(given) && trust.includes(remoteAddress);
    return isTaken ? given : makeId();
  };
}
