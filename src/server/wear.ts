/** Main thread. When a process has served long enough. */
import { readResidentMemory } from '../observe/resident-memory.js';
import type { Settings } from '../settings/resolve.js';
import type { Server } from './server.js';

type Limits = Pick<Settings, 'maxRequests' | 'maxMemory' | 'maxAge'>;

export interface Wear {
  /** Answered so far. */
  readonly requests: number;
  /** Resident. Bytes. */
  readonly memory: number;
  /** Seconds since it began to serve. */
  readonly age: number;
}

/** Why a process is to be replaced, for people; null where it is not. */
export function findWear({ maxRequests, maxMemory, maxAge }: Limits, wear: Wear): string | null {
  if (maxRequests > 0 && wear.requests >= maxRequests)
    return `has answered ${wear.requests} request${wear.requests === 1 ? '' : 's'}`;
  if (maxMemory > 0 && wear.memory > maxMemory) return `takes ${wear.memory} bytes of memory`;
  if (maxAge > 0 && wear.age >= maxAge) return `has served for ${Math.round(wear.age)} s`;
  return null;
}

/** The limit for one process; `chance` from 0 to 1 is its own, so that those that started together do not end together. */
export function jitterRequests(
  { maxRequests, maxRequestsJitter }: Pick<Settings, 'maxRequests' | 'maxRequestsJitter'>,
  chance: number,
): number {
  return maxRequests === 0 ? 0 : maxRequests + Math.round(maxRequestsJitter * chance);
}

/** How often a process looks at itself. Milliseconds. */
const LOOK_MS = 100;

/** Tells once, with the reason, when the process has served long enough; never where there is no limit. */
export function watchWear(server: Server, settings: Settings, tell: (reason: string) => void): void {
  const limits = { ...settings, maxRequests: jitterRequests(settings, Math.random()) };
  if (limits.maxRequests + limits.maxMemory + limits.maxAge === 0) return;
  const begun = performance.now();
  const timer = setInterval(() => {
    const reason = findWear(limits, {
      requests: server.stats().reduce((sum, { answered }) => sum + answered, 0),
      memory: readResidentMemory(),
      age: (performance.now() - begun) / 1000,
    });
    if (reason === null) return;
    clearInterval(timer);
    tell(reason);
  }, LOOK_MS);
  timer.unref();
}
