/** What crosses between the supervisor and its processes, over child_process's channel. */
import type { ErrorPayload } from '../contract/errors.js';
import type { Luggage } from '../http/departure.js';
import type { Question } from '../observe/questions.js';
import type { ProcessSnapshot } from '../observe/snapshot.js';
import type { Probes } from '../python/find.js';
import type { Settings } from '../settings/resolve.js';

/** Supervisor to process. */
export type ToProcess =
  /** Comes with the listening socket of the address of this index, before 'start'; only where there is one process. */
  | readonly [kind: 'listen', index: number]
  /** It will most likely be a Python application: begin the thread that holds Python. Before 'start', if at all. */
  | readonly [kind: 'prepare']
  /** Import the application and serve; sent once. */
  | readonly [kind: 'start', start: ProcessStart]
  /** New code could not be loaded: answer every request with why. Only under --reload. */
  | readonly [kind: 'broken', failure: ErrorPayload]
  /**
   * Comes with a connection to the address of this index; answered with 'taken'. `luggage`: what another process
   * has read of it. `behind`: how many are on their way behind it.
   */
  | readonly [kind: 'connection', index: number, id: number, luggage: Luggage | null, behind: number]
  /** What left under this number is the supervisor's now. */
  | readonly [kind: 'left', id: number]
  /** What left under this number is for nobody else: it is to be served where it is. */
  | readonly [kind: 'stays', id: number]
  /** Open log files anew: rotation has moved them away. */
  | readonly [kind: 'reopen']
  /** Take no more connections from the listening sockets: they will come one by one. */
  | readonly [kind: 'leave']
  /** Take no more connections, finish what runs within the grace period, end with status 0. `isLast`: nobody takes over. */
  | readonly [kind: 'stop', isLast: boolean]
  /** Tell all that you can; answered with 'seen'. */
  | readonly [kind: 'look']
  /** Answer this, with 'answer' and the same token. */
  | readonly [kind: 'ask', token: number, question: Question];

/** What a process serves, and how. */
export interface ProcessStart {
  readonly settings: Settings;
  /** What its Pythons are, as far as somebody has asked. */
  readonly probes: Probes;
  /** A config file with hooks for this process; null where there is none. */
  readonly hookFile: string | null;
  /** Its place among the vacancies; null where it has none. */
  readonly place: number | null;
  /** It is to show this and to import nothing; null elsewhere. */
  readonly failure: ErrorPayload | null;
  /** In place of its own environment, which may be older. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Process to supervisor. */
export type FromProcess =
  /** Lido's own code runs in it: it has been told what to serve; sent once. */
  | readonly [kind: 'begun']
  /** It serves; sent once. `applications` says what and how. */
  | readonly [kind: 'ready', applications: string]
  /** It could not start, and ends; sent once, instead of 'ready'. */
  | readonly [kind: 'failed', error: ErrorPayload]
  /** It has the connection of this id, and the supervisor may let go of it. */
  | readonly [kind: 'taken', id: number]
  /**
   * Comes with a connection to the address of this index, on which a request waits that the process at `place` could begin
   * at once; answered with 'left' or 'stays'.
   */
  | readonly [kind: 'leaves', id: number, index: number, luggage: Luggage, place: number]
  /** Where it stands; sent when that changes, a few times a second. */
  | readonly [kind: 'report', report: ProcessReport]
  /** It consists of these files, too, which it loaded at this moment or later; sent only under --reload. Absolute paths. */
  | readonly [kind: 'files', files: readonly string[], since: number]
  /** It has served long enough, says why, and serves on until another takes its place; sent once. */
  | readonly [kind: 'worn', reason: string]
  /** Its Python is stuck, and this is how: it answers next to nothing any more. May come again. */
  | readonly [kind: 'stuck', reason: string]
  /** What it is at; in answer to 'look', and once more before it ends by itself. */
  | readonly [kind: 'seen', snapshot: ProcessSnapshot]
  /** What was asked; what it is depends on the question. */
  | readonly [kind: 'answer', token: number, answer: unknown];

export interface ProcessReport {
  /** Those that it serves. */
  readonly connections: number;
  /** How many it has been given so far. */
  readonly taken: number;
  /** It holds requests, and has written nothing to anybody lately: others may answer sooner. */
  readonly isOccupied: boolean;
}
