/** Main thread. The opening handshake of a WebSocket: recognised, and checked. RFC 6455, section 4. Pure. */
import type { Refusal } from '../gate.js';
import type { HttpRequest } from '../request.js';

/** The one version that is spoken; older ones were drafts. RFC 6455, section 4.4. */
const VERSION = '13';
/** Sixteen bytes in base64. RFC 6455, section 4.1. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Whether a client asks to go on as a WebSocket. What else it may ask for by Upgrade is ignored. RFC 9110, section 7.8. */
export function asksForWebSocket(request: HttpRequest): boolean {
  const upgrade = request.field('upgrade');
  if (upgrade === undefined || request.takeSocket === undefined || request.version === '1.0') return false;
  return (
    listTokens(upgrade).includes('websocket') && listTokens(request.field('connection')).includes('upgrade')
  );
}

/** What is wrong with the handshake of a client that asks for a WebSocket; null when nothing is. */
export function findHandshakeFault(request: HttpRequest): Refusal | null {
  if (request.method !== 'GET') return refuse('a WebSocket is asked for by GET');
  if (request.bodyLength !== 0) return refuse('a WebSocket is asked for without a body');
  if (request.field('sec-websocket-version') !== VERSION)
    return {
      ...refuse(`the WebSocket protocol is spoken here in version ${VERSION}`),
      field: ['Sec-WebSocket-Version', VERSION],
    };
  if (!KEY.test(request.field('sec-websocket-key') ?? '')) return refuse('malformed Sec-WebSocket-Key');
  return null;
}

function listTokens(field: string | undefined): string[] {
  return (field ?? '').split(',').map((token) => token.trim().toLowerCase());
}

function refuse(reason: string): Refusal {
  return { status: 400, reason };
}
