/** Main thread. Which web pages may open a WebSocket: a browser sends their origin, and lets any page ask. RFC 6455, section 10.2. Pure. */
import type { Connection } from '../connection.js';
import type { HttpRequest } from '../request.js';

/** Stands for the origin that the request itself was sent to. */
const OWN = 'same';

/**
 * Whether one of the allowed origins is the request's: "https://example.com", "https://*.example.com" for the names below
 * it, "same". Every request may pass where none is named, and so may one without an Origin: no browser has sent it.
 */
export function isOriginAllowed(
  request: HttpRequest,
  client: Connection,
  allowed: readonly string[],
): boolean {
  const origin = request.field('origin')?.toLowerCase();
  if (allowed.length === 0 || origin === undefined) return true;
  const host = (client.host ?? request.field('host') ?? '').toLowerCase();
  return allowed.some((pattern) =>
    pattern === OWN ? origin === `${client.scheme}://${host}` : matches(origin, pattern.toLowerCase()),
  );
}

function matches(origin: string, pattern: string): boolean {
  const star = pattern.indexOf('*.');
  if (star < 0) return origin === pattern;
  const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)];
  const name = origin.slice(before.length, -after.length);
  return origin.startsWith(before) && origin.endsWith(after) && /^[\w.-]+$/.test(name);
}
