/** Main thread. What a dispatcher needs of requests, of workers, and of time. Types only. */
import type { LidoError } from '../contract/errors.js';
import type { Elsewhere } from './elsewhere.js';
import type { GilWorkerView } from './gil-policy.js';
import type { ProbedWorker } from './gil-probe.js';
import type { Manner } from './manners.js';
import type { Impatient } from './patience.js';
import type { DispatchPolicy } from './policy.js';

/** What the dispatcher needs of a request. */
export interface Job<J> extends Impatient {
  readonly state: 'receiving' | 'waiting' | 'sent' | 'detached' | 'over';
  /** What it asks for: requests for the same are taken to be alike. */
  readonly target: string;
  /** What is known of those. */
  manner: Manner;
  /** The worker that holds it. */
  readonly holder: { giveUp(job: J): void } | null;
  /** No worker will have it: it is answered with the error. */
  finish(error: LidoError): void;
}

/** What the dispatcher needs of a worker. */
export interface DispatchWorker<J> extends GilWorkerView, ProbedWorker<J> {
  /** Gives it a request; it has room. */
  send(job: J): void;
  /** Takes back what it has not begun, at most `most`, the longest waiting first. */
  recall(most: number): J[];
  /** Takes what it has answered and not told of. */
  look(): void;
  /** It is gone: what it ran fails with the error, the rest is returned. */
  lose(error: LidoError): J[];
}

/** Where the time comes from. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Calls back once, later. */
  after(ms: number, callback: () => void): void;
}

export interface DispatcherOptions<J> {
  readonly policy: DispatchPolicy;
  /** Requests that may wait for a worker; one more is answered with 503. */
  readonly backlog: number;
  /** Milliseconds that one may wait, 0 for no limit; then it is answered with 503. */
  readonly backlogTimeoutMs: number;
  /** Null where no other process serves the same. */
  readonly elsewhere?: Elsewhere<J> | null;
  readonly clock?: Clock;
}
