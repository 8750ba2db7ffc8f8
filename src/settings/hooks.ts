/** Main thread. Functions in a config file that are called when something happens to the server. Pure. */
import type { LidoError } from '../contract/errors.js';
import type { PlacedMistake } from './mistake.js';

/** What became of a request; without what only the application knows. */
export interface EndedRequest {
  readonly id: string;
  /** Where its application is mounted: '/' or '/shop'; 'files' for a static file. */
  readonly mount: string;
  readonly method: string;
  /** The target as the client sent it. */
  readonly url: string;
  /** As it was sent; 499 where the client was gone before there was one. */
  readonly status: number;
  /** The client's, seen through trusted proxies; '' over a Unix socket. */
  readonly remoteAddress: string;
  /** Of the body, as the application gave it. */
  readonly bytesSent: number;
  /** Of the body, as the client sent it. */
  readonly bytesReceived: number;
  /** From the head of the request to the last byte of the answer. Milliseconds. */
  readonly durationMs: number;
  /** What of that it waited for a worker. Milliseconds. */
  readonly waitMs: number;
}

/** A worker: one thread that runs an application. */
export interface HookedWorker {
  /** The process that it belongs to. */
  readonly pid: number;
  /** Where its application is mounted: '/' or '/shop'. */
  readonly mount: string;
  /** Node's number of the thread. */
  readonly thread: number;
}

/**
 * The first four are called in the process that signals go to, the others in each process that serves, all of them in its
 * main thread: what takes long there holds up every request. What they throw or reject with is logged, and changes nothing.
 * Only `onStarting` and `onExit` are waited for, for 30 seconds at most.
 */
export interface Hooks {
  /** Before anything is opened or imported. */
  onStarting?(): unknown;
  /** It serves. `addresses` are URLs: "http://127.0.0.1:8000", "unix:/run/lido.sock". */
  onReady?(event: { readonly addresses: readonly string[] }): unknown;
  /** A reload is over; `error` says why the old version serves on, and is null where the new one does. */
  onReload?(event: { readonly error: LidoError | null }): unknown;
  /** Everything is answered, and the process about to end. */
  onExit?(): unknown;
  /** A worker has loaded its application, and takes requests. */
  onWorkerStart?(worker: HookedWorker): unknown;
  /** A worker takes no more requests; `reason` is null where that was meant to be. */
  onWorkerExit?(worker: HookedWorker & { readonly reason: string | null }): unknown;
  /** A request is over, however it ended. */
  onRequestEnd?(request: EndedRequest): unknown;
}

export type HookName = keyof Hooks;

export const SERVER_HOOKS = ['onStarting', 'onReady', 'onReload', 'onExit'] as const;
export const PROCESS_HOOKS = ['onWorkerStart', 'onWorkerExit', 'onRequestEnd'] as const;
export const hookNames: readonly HookName[] = [...SERVER_HOOKS, ...PROCESS_HOOKS];

/** A config file's hooks. */
export interface HookSource {
  readonly hooks: Hooks;
  /** The file, for processes that have to call some of them; null where there are none for them. */
  readonly file: string | null;
}

export const NO_HOOKS: HookSource = { hooks: {}, file: null };

/** Takes the hooks out of what a config file holds, and leaves the settings. */
export function takeHooks(
  values: Readonly<Record<string, unknown>>,
  placeOf: (key: string) => string,
): { readonly hooks: Hooks; readonly rest: Record<string, unknown>; readonly mistakes: PlacedMistake[] } {
  const rest = { ...values };
  const hooks: Record<string, unknown> = {};
  const mistakes: PlacedMistake[] = [];
  for (const name of hookNames) {
    const value = rest[name];
    delete rest[name];
    if (value === undefined) continue;
    if (typeof value === 'function') hooks[name] = value;
    else
      mistakes.push({
        place: placeOf(name),
        text: `${name} takes a function, which lido.config.js or .ts can hold`,
      });
  }
  return { hooks, rest, mistakes };
}
