/** Main thread. How many worker threads an application gets where nobody says, and why. */
import { availableParallelism } from 'node:os';
import type { ApplicationSpec } from '../contract/protocol.js';
import type { Settings } from '../settings/resolve.js';

export interface ThreadChoice {
  readonly count: number;
  /** For people: "2 cores, shared out over 1 process". */
  readonly why: string;
}

/** What `threads` says, or cores for what can use them; threads that share one GIL gain nothing from a second one but waiting. */
export function chooseThreads({ threads, processes }: Settings, application: ApplicationSpec): ThreadChoice {
  if (threads !== null) return { count: threads, why: 'as it is set' };
  if (sharesGil(application)) return { count: 1, why: 'threads of this Python share one GIL' };
  const cores = availableParallelism();
  const count = Math.ceil(cores / processes);
  return { count, why: `${cores} cores, for ${processes} process${processes === 1 ? '' : 'es'}` };
}

/** Whether only one of its threads can run Python at a time. */
export function sharesGil(application: ApplicationSpec): boolean {
  if (application.runtime !== 'cpython') return false;
  return !application.python.freeThreaded && application.interpreter === 'shared';
}
