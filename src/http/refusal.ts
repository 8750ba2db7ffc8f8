/** Main thread. Answers that Lido gives itself, in place of an application. */
import { LidoError } from '../contract/errors.js';
import { buildErrorPage } from './error-page.js';
import type { Refusal } from './gate.js';
import type { HttpRequest } from './request.js';
import type { ResponseSink } from './response-sink.js';
import { ResponseWriter } from './response-writer.js';

export interface RefusalOptions {
  readonly sendTimeoutMs: number;
  /** The request is sound: its connection is kept. */
  readonly keeps?: boolean;
  /** An id that the client is told; null for none. */
  readonly requestId?: string | null;
}

/** Answers what no application gets to see, and returns what the answer is written by. */
export function answerRefusal(
  request: HttpRequest,
  sink: ResponseSink,
  { status, reason, field }: Refusal,
  { sendTimeoutMs, keeps = false, requestId = null }: RefusalOptions,
): ResponseWriter {
  const writer = new ResponseWriter(sink, request.method, sendTimeoutMs);
  if (field !== undefined) writer.addField(field);
  if (!keeps || request.bodyLength !== 0) writer.connection = 'close';
  if (requestId !== null) writer.addField(['X-Request-ID', requestId]);
  const error = new LidoError('LIDO_REQUEST_REFUSED', [reason], { status });
  writer.writeError(error, buildErrorPage(status, reason, request.prefersHtml));
  return writer;
}
