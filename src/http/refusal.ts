/** Main thread. Answers that Lido gives itself, in place of an application. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LidoError } from '../contract/errors.js';
import { countAnswer, countRequest } from './connection.js';
import type { Refusal } from './gate.js';
import { hasBody } from './request-body.js';
import type { RequestContext } from './request-context.js';
import { ResponseWriter } from './response-writer.js';

/** Answers what no application gets to see. The connection ends with it unless `keeps`, for a request that is sound. */
export function answerRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  { status, reason }: Refusal,
  { host }: RequestContext,
  sendTimeoutMs: number,
  keeps = false,
): void {
  const writer = new ResponseWriter(response, sendTimeoutMs, host);
  countRequest(request, null);
  response.once('close', () => countAnswer(request));
  if (!keeps || hasBody(request)) writer.closeAfterwards();
  writer.writeError(new LidoError('LIDO_REQUEST_REFUSED', [reason], { status }), reason);
}
