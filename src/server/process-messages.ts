/** What crosses between the supervisor and its processes, over node:cluster's channel. */
import type { ErrorPayload } from '../contract/errors.js';
import type { ProcessSnapshot } from '../observe/snapshot.js';
import type { Settings } from '../settings/resolve.js';

/** Supervisor to process. */
export type ToProcess =
  /** Import the application and listen; sent once, in answer to 'up'. */
  | readonly [kind: 'start', settings: Settings]
  /** Stop accepting, finish what runs within the grace period, end with status 0. */
  | readonly [kind: 'stop']
  /** Tell all that you can; answered with 'seen'. */
  | readonly [kind: 'look'];

/** Process to supervisor. */
export type FromProcess =
  /** It hears; sent once, first, for node:cluster drops a message that comes before that. */
  | readonly [kind: 'up']
  /** It serves; sent once. `startLine` says what, how and where. */
  | readonly [kind: 'ready', startLine: string]
  /** It could not start, and ends; sent once, instead of 'ready'. */
  | readonly [kind: 'failed', error: ErrorPayload]
  /** What it is at; in answer to 'look', and once more before it ends by itself. */
  | readonly [kind: 'seen', snapshot: ProcessSnapshot];
