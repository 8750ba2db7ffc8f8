/** Main thread. Answers that Lido gives itself, in place of an application. */
import { LidoError } from '../contract/errors.js';
import { buildErrorPage } from './error-page.js';
import type { Refusal } from './gate.js';
import type { HttpRequest } from './request.js';
import type { ResponseSink } from './response-sink.js';
import { ResponseWriter } from './response-writer.js';

/**
 * Answers what no application gets to see. The connection ends with it unless `keeps`, for a request that is sound.
 * Returns what the answer is written by.
 */
export function answerRefusal(
  request: HttpRequest,
  sink: ResponseSink,
  { status, reason }: Refusal,
  sendTimeoutMs: number,
  keeps = false,
): ResponseWriter {
  const writer = new ResponseWriter(sink, request.method, sendTimeoutMs);
  if (!keeps || request.bodyLength !== 0) writer.connection = 'close';
  const error = new LidoError('LIDO_REQUEST_REFUSED', [reason], { status });
  writer.writeError(error, buildErrorPage(status, reason, request.prefersHtml));
  return writer;
}
