/**
 * Main thread. What one process tells of itself, once a second, where somebody may ask: plain data, for it goes to the
 * supervisor over a channel. Counts are totals since the process began.
 */
import type { HistogramData } from './histogram.js';

export interface ProcessSnapshot {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly state: ProcessState;
  readonly applications: readonly ApplicationSnapshot[];
  /** What came of requests, by mount; `none` for those that went to no application. */
  readonly traffic: Readonly<Record<string, TrafficData>>;
  readonly connections: ConnectionCounts;
  readonly vitals: Vitals;
}

/** `starting` until it listens, `draining` once it is to end. */
export type ProcessState = 'starting' | 'serving' | 'draining';

export interface ConnectionCounts {
  /** With a request that is not answered yet. */
  readonly active: number;
  readonly idle: number;
}

export interface ApplicationSnapshot {
  /** Where it is mounted: '/' or '/shop'. */
  readonly mount: string;
  /** As it was named: "shop.wsgi:application". */
  readonly application: string;
  /** What runs it: "Python 3.11.2". */
  readonly runtime: string;
  /** How many workers there may be. */
  readonly threads: { readonly min: number; readonly max: number };
  readonly backlog: { readonly size: number; readonly oldestMs: number };
  /** Why every request is refused for now; null where they are taken. */
  readonly refusal: string | null;
  readonly workers: readonly WorkerSnapshot[];
  /** Those that are open; null where the application has none. */
  readonly webSockets: number | null;
}

export interface WorkerSnapshot {
  readonly id: number;
  readonly state: 'starting' | 'idle' | 'busy';
  /** Requests that wait in it behind the one that runs. */
  readonly queued: number;
  readonly running: readonly RunningRequest[];
  /** V8's heap of a JavaScript worker. Bytes. */
  readonly heap: { readonly used: number; readonly limit: number } | null;
  /** Processor time, where the system tells it by thread: Linux. Seconds. */
  readonly cpu: number | null;
  /** What a Python worker has waited for the GIL as it woke. Seconds. */
  readonly gilWait: number | null;
}

export interface RunningRequest {
  readonly requestId: string;
  readonly method: string;
  readonly url: string;
  readonly ageMs: number;
}

export interface TrafficData {
  /** By method and status class: `GET 2xx`. */
  readonly requests: Readonly<Record<string, number>>;
  /** By the error's code, LIDO_TIMED_OUT. */
  readonly failures: Readonly<Record<string, number>>;
  /** Replaced workers, by the error's code. */
  readonly restarts: Readonly<Record<string, number>>;
  /** Workers that were started, `up`, and ended, `down`, because there were too few, or too many. */
  readonly scalings: Readonly<Record<string, number>>;
  readonly duration: HistogramData;
  readonly wait: HistogramData;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** The slowest of the last minutes, the slowest first. */
  readonly slowest: readonly SlowRequest[];
  /** The latest first. */
  readonly errors: readonly RecentError[];
  readonly lastRestarts: readonly RecentRestart[];
}

export interface RecentRestart {
  /** What was replaced: "a worker of /shop", "process 1234". */
  readonly what: string;
  readonly why: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface SlowRequest {
  readonly requestId: string;
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly durationMs: number;
  readonly waitMs: number;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

export interface RecentError {
  readonly code: string;
  readonly message: string;
  readonly traceback: string;
  /** '' where no request is concerned. */
  readonly requestId: string;
  readonly method: string;
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What the process as a whole uses. */
export interface Vitals {
  /** Bytes. */
  readonly residentMemory: number;
  /** V8's heap of the main thread. Bytes. */
  readonly heapUsed: number;
  /** Seconds of all threads, and of the main one where the system tells; null elsewhere. */
  readonly cpu: number;
  readonly mainCpu: number | null;
  /** Seconds in which the main thread's event loop was not asleep. */
  readonly loopActive: number;
  /** The longest delay of the main thread's event loop in each second. */
  readonly loopDelay: HistogramData;
}
