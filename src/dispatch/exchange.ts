/** Main thread. One request and its response, from the gate to the last byte. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LidoError } from '../contract/errors.js';
import type { RequestBodySource } from '../http/request-body.js';
import type { ResponseWriter } from '../http/response-writer.js';
import type { Log } from '../log.js';
import type { Session } from './session.js';

/**
 * - receiving: earlier requests of its connection are answered first, then the body is collected before a worker is bothered
 * - waiting: in the backlog
 * - sent: posted to a worker, which may or may not have claimed it
 * - over: answered, given up, or its client gone; nothing more is done for it
 */
export type ExchangeState = 'receiving' | 'waiting' | 'sent' | 'over';

export interface Exchange {
  /** What the session that holds it calls it; 0 while none does. */
  id: number;
  /** As in the log and in the environ's `lido.request_id`. */
  readonly requestId: string;
  readonly log: Log;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly writer: ResponseWriter;
  readonly body: RequestBodySource;
  state: ExchangeState;
  /** The session that holds it while it is sent. */
  session: Session | null;
  /** The environ on the wire; kept until the request is over, for it may be recalled and sent again. */
  environ: string;
  /** Called when the worker is done with the request, with the error that ended it. */
  conclude(error: LidoError | null): void;
}
