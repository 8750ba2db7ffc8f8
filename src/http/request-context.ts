/** Main thread. What comes with a request from whoever took it in. */
import type { Log } from '../log.js';
import type { Connection } from './connection.js';

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
}

/** A request that nobody else has had. */
export const PLAIN_CONTEXT: RequestContext = {
  scriptName: '',
  url: null,
  environ: null,
  requestId: null,
  log: null,
  connection: null,
};
