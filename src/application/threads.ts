/** Main thread. How many worker threads an application gets where nobody says, and why. */

import { LidoError } from '../contract/errors.js';
import { type ApplicationSpec, SLOT_BITS } from '../contract/protocol.js';
import type { Settings } from '../settings/resolve.js';
import { findAvailableCores } from './available-cores.js';

export interface ThreadChoice {
  /** At the start, and at least... */
  readonly count: number;
  /** ...and at most. */
  readonly most: number;
  /** For people: "2 cores, shared out over 1 process". */
  readonly why: string;
}

/**
 * Threads that share one GIL do not compute side by side, but wait so: one would serve no application that waits. As many
 * as waitress starts, and about as many as puma; each takes about 10 MB, and those that are of no use are left idle.
 */
const THREADS_UNDER_ONE_GIL = 4;
/** Requests queued in a worker behind the running one, so that it never idles for a round trip. */
export const PREFETCH = 64;
/** A session has so many slots, save where a loop in Python runs it, and those that are queued have one each. */
const MOST_IN_JAVASCRIPT = (1 << SLOT_BITS) - PREFETCH;
/** uvicorn has no limit, and granian as many as may wait for a connection. */
const IN_ONE_LOOP = 1000;

/** What the settings say, or cores for what can use them, or a few where they can only wait side by side. */
export function chooseThreads(settings: Settings, application: ApplicationSpec): ThreadChoice {
  const { threads, minThreads, maxThreads } = settings;
  if (threads !== null) return { count: threads, most: threads, why: 'as it is set' };
  const usual = chooseUsual(settings, application);
  if (maxThreads === null) return { ...usual, most: usual.count };
  if (minThreads !== null) return { count: minThreads, most: maxThreads, why: 'as it is set' };
  return { count: Math.min(usual.count, maxThreads), most: maxThreads, why: usual.why };
}

function chooseUsual({ processes }: Settings, application: ApplicationSpec): Omit<ThreadChoice, 'most'> {
  if (hasOneLoop(application))
    return {
      count: 1,
      why: 'one event loop runs all requests, and what an ASGI application makes in it belongs to it',
    };
  if (sharesGil(application))
    return { count: THREADS_UNDER_ONE_GIL, why: 'they share one GIL, and wait side by side' };
  const cores = findAvailableCores();
  const count = Math.ceil(cores / processes);
  return { count, why: `${cores} cores, for ${processes} process${processes === 1 ? '' : 'es'}` };
}

/**
 * An application that all threads share keeps what its lifespan made, such as a pool of connections, in one place: that of a
 * second loop would take the place of the first one's, which could not use it.
 */
function hasOneLoop(application: ApplicationSpec): boolean {
  if (application.runtime !== 'cpython' || application.interpreter === 'isolated') return false;
  return application.interface === 'asgi';
}

/** What is found out by the interface that an application speaks, as far as that is known before it is loaded. */
export function isAsgi(application: ApplicationSpec): boolean | null {
  if (application.runtime === 'javascript') return false;
  return application.interface === 'auto' ? null : application.interface === 'asgi';
}

/**
 * Throws LIDO_WRONG_SETTING where one worker is to run more requests at once than it can. Which language serves is not known
 * before the application is found.
 */
export function checkConcurrency({ concurrency }: Settings, { runtime }: ApplicationSpec): void {
  if (runtime === 'javascript' && (concurrency ?? 1) > MOST_IN_JAVASCRIPT)
    throw new LidoError('LIDO_WRONG_SETTING', [
      'concurrency',
      `a JavaScript worker runs at most ${MOST_IN_JAVASCRIPT} requests at once, not ${concurrency}: more threads or processes run more`,
    ]);
}

/** Requests that may run at once in one worker: what `concurrency` says, or one where each holds its thread. */
export function chooseConcurrency({ concurrency }: Settings, application: ApplicationSpec): number {
  if (application.runtime === 'javascript') return concurrency ?? 1;
  return application.interface === 'asgi' ? (concurrency ?? IN_ONE_LOOP) : 1;
}

/** Whether only one of its threads can run Python at a time. */
export function sharesGil(application: ApplicationSpec): boolean {
  if (application.runtime !== 'cpython') return false;
  return !application.python.freeThreaded && application.interpreter === 'shared';
}
