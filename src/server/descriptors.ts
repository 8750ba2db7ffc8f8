/**
 * Main thread. How many descriptors this process may have: one for each connection and file that is open. Where all are in use, the
 * kernel's queue is emptied by libuv, which resets whoever waits there, and Node.js tells nobody.
 */
import { readResourceLimit } from './resource-limits.js';

/** What is kept of them for files, threads and the application: a sixteenth, and so many at least. */
const KEPT_SHARE = 16;
const LEAST_KEPT = 8;

export interface DescriptorLimit {
  /** Infinity where there is none, or the system does not tell. */
  readonly most: number;
  /** How many of these are kept for other things than connections. */
  readonly kept: number;
}

/**
 * What this process may have: Node.js has raised it to the hard limit at its start, and an operator may raise that. Whoever comes gets the
 * lowest number that is free, so all below it are in use.
 */
export function readDescriptorLimit(): DescriptorLimit {
  const most = readResourceLimit('Max open files') ?? Number.POSITIVE_INFINITY;
  return { most, kept: Math.max(LEAST_KEPT, Math.floor(most / KEPT_SHARE)) };
}
