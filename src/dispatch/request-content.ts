/** Main thread. [4] How a request's body goes along to its worker: within the request, or as the name of a file. */
import { FILED_REQUEST, REQUEST, type RingWriter, STREAMED_REQUEST } from '../contract/ring.js';
import type { RequestBodySource } from '../http/request-body.js';
import type { SpooledFile } from '../http/spool.js';

/** Text, pieces, or a file. Null where it comes in chunks. */
export type RequestContent = string | readonly Uint8Array[] | SpooledFile | null;

/** Kept free for the records of requests that are posted: far more than a worker that reads is ever sent. Bytes. */
const RESERVE = 64 * 1024;

/** The body stays where it is, for the request may be recalled; a file is lent. */
export function findContent(body: RequestBodySource): RequestContent {
  return body.asText() ?? body.asPieces() ?? body.lend();
}

/** False where the ring has no room for the request. A large body that has none comes in chunks. */
export function putRequest(ring: RingWriter, id: number, environ: string, body: RequestContent): boolean {
  if (typeof body === 'string') return ring.put(REQUEST, id, environ, body, RESERVE);
  if (body !== null && 'fd' in body) return ring.put(FILED_REQUEST, id, environ, String(body.fd), RESERVE);
  if (body !== null && ring.putPieces(REQUEST, id, environ, body, RESERVE)) return true;
  return ring.put(STREAMED_REQUEST, id, environ, '', RESERVE);
}
