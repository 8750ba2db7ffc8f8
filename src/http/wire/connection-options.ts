/** Main thread. What the connections of one listener have in common. Types only. */
import type { Budget } from '../budget.js';
import type { Connection } from '../connection.js';
import type { Refusal } from '../gate.js';
import type { HttpRequest } from '../request.js';
import type { ResponseSink } from '../response-sink.js';
import type { HeadLimits } from './head-parser.js';

export interface ConnectionOptions {
  readonly limits: HeadLimits;
  /** Milliseconds, 0 for no limit: for a head to come, for the next request to begin. */
  readonly headerTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Milliseconds that a client may take nothing of what is written where no response says so; 0 for no limit. */
  readonly sendTimeoutMs: number;
  /** Requests that are answered before the connection ends; 0 for no limit. */
  readonly mostRequests: number;
  /** The index of the address that connections come to, for other processes to know it; null where none can leave. */
  readonly address: number | null;
  /** Where what a client makes the process hold is counted. */
  readonly budget: Budget;
  /** Takes a request. Those behind it on its connection are not looked at before it is answered. */
  readonly handle: (request: HttpRequest, sink: ResponseSink) => void;
  /** Told of what was refused without an application. */
  readonly refused: (refusal: Refusal, client: Connection) => void;
}
