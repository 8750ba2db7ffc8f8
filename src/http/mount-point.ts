/** Main thread. Where Express, Connect and their like have mounted a handler, seen from a request. Pure. */
import type { IncomingMessage } from 'node:http';
import { decodePath } from './environ.js';
import { parseTarget } from './target.js';

export interface MountPoint {
  /** SCRIPT_NAME: decoded, '' at the root. */
  readonly scriptName: string;
  /** The target with the part that the framework cut off; null where it cut nothing off. */
  readonly url: string | null;
}

/** What these frameworks add to a request: both the target before the cut, Express alone what was cut. */
type Mounted = IncomingMessage & { readonly originalUrl?: unknown; readonly baseUrl?: unknown };

/** A target that middleware has rewritten is taken as it is now, below the mount point. */
export function findMountPoint(request: IncomingMessage): MountPoint {
  const { originalUrl, baseUrl, url = '/' } = request as Mounted;
  const base = typeof baseUrl === 'string' ? baseUrl : guessBase(originalUrl, url);
  if (base === '') return { scriptName: '', url: null };
  return { scriptName: decodePath(base), url: isBare(originalUrl, base) ? String(originalUrl) : base + url };
}

/** Connect: what the target had in front of what is left of it. */
function guessBase(originalUrl: unknown, url: string): string {
  if (typeof originalUrl !== 'string') return '';
  const whole = parseTarget(originalUrl).path;
  const rest = parseTarget(url).path;
  if (whole.endsWith(rest)) return whole.slice(0, whole.length - rest.length);
  return rest === '/' ? whole : '';
}

/** The mount point itself was asked for, without a slash at its end, where both frameworks say "/". */
function isBare(originalUrl: unknown, base: string): boolean {
  return typeof originalUrl === 'string' && parseTarget(originalUrl).path === base;
}
