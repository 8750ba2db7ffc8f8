/** Main thread. What comes with a request from whoever took it in. */
import type { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { Connection } from './connection.js';

/** Who the response belongs to until its head goes out: a framework that answers errors in its own way. */
export interface ReplyHost {
  /** The head is about to be written: from here on the response is Lido's. False where the host has answered already. */
  takeOver(): boolean;
  /** Nothing was written, and Lido will write nothing. The fields go with the answer. */
  fail(error: LidoError, fields: Readonly<Record<string, string>>): void;
}

/** What is known of a request beside itself: by the table of mounts, or by a framework that Lido is embedded in. */
export interface RequestContext {
  /** Where the application is mounted, decoded like PATH_INFO: '' at the root. */
  readonly scriptName: string;
  /** The target as the client sent it, where a framework has cut it; null where `request.url` is that. */
  readonly url: string | null;
  /** Keys for the environ; their values are latin-1. */
  readonly environ: Readonly<Record<string, string>> | null;
  /** Null where Lido's own are to be used, in these too. */
  readonly requestId: string | null;
  readonly log: Log | null;
  readonly connection: Connection | null;
  /** Null where the response is Lido's from the start. */
  readonly host: ReplyHost | null;
}

/** A request that nobody else has had. */
export const PLAIN_CONTEXT: RequestContext = {
  scriptName: '',
  url: null,
  environ: null,
  requestId: null,
  log: null,
  connection: null,
  host: null,
};
