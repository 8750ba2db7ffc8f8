/** Conditional and range requests for a file. RFC 9110, sections 13 and 14. */
import type { Stats } from 'node:fs';
import fresh from 'fresh';
import parseRange from 'range-parser';
import type { Environ } from '../../src/contract/wsgi.js';

/** A strong validator, as nginx makes it: a part may be asked for with it. */
export function createEtag({ mtimeMs, size }: Stats): string {
  return `"${Math.floor(mtimeMs).toString(16)}-${size.toString(16)}"`;
}

/** False where If-Match or If-Unmodified-Since is not met: the answer is 412. */
export function meetsPrecondition(environ: Environ, stats: Stats): boolean {
  const match = readField(environ, 'HTTP_IF_MATCH');
  if (match !== undefined) return match === '*' || match.split(/\s*,\s*/).includes(createEtag(stats));
  const since = Date.parse(readField(environ, 'HTTP_IF_UNMODIFIED_SINCE') ?? '');
  return Number.isNaN(since) || inSeconds(stats) <= since;
}

/** True where the client has the file already: the answer is 304. */
export function isUnmodified(environ: Environ, stats: Stats): boolean {
  const asked = {
    'if-none-match': readField(environ, 'HTTP_IF_NONE_MATCH'),
    'if-modified-since': readField(environ, 'HTTP_IF_MODIFIED_SINCE'),
    'cache-control': readField(environ, 'HTTP_CACHE_CONTROL'),
  };
  return fresh(asked, { etag: createEtag(stats), 'last-modified': stats.mtime.toUTCString() });
}

/** The one range that is asked for; null for the whole file. */
export function choosePart(
  environ: Environ,
  stats: Stats,
): { position: number; length: number } | 'unsatisfiable' | null {
  const range = readField(environ, 'HTTP_RANGE');
  if (range === undefined || !meetsIfRange(environ, stats)) return null;
  const ranges = parseRange(stats.size, cutSuffix(range, stats.size), { combine: true });
  if (ranges === -1) return 'unsatisfiable';
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return null;
  const [{ start, end } = { start: 0, end: -1 }] = ranges;
  return { position: start, length: end - start + 1 };
}

/** RFC 9110, section 14.1.2: of a file that is shorter than the last bytes that are asked for, all. */
function cutSuffix(range: string, size: number): string {
  const [, length] = /^bytes=-(\d+)$/.exec(range) ?? [];
  return length !== undefined && Number(length) > size ? `bytes=-${size}` : range;
}

/** RFC 9110, section 13.1.5: the range counts only for the file that the client has a part of. */
function meetsIfRange(environ: Environ, stats: Stats): boolean {
  const condition = readField(environ, 'HTTP_IF_RANGE');
  if (condition === undefined || condition === createEtag(stats)) return true;
  return Date.parse(condition) === inSeconds(stats);
}

/** HTTP dates have no fractions of a second. */
function inSeconds({ mtimeMs }: Stats): number {
  return Math.floor(mtimeMs / 1000) * 1000;
}

function readField(environ: Environ, key: string): string | undefined {
  return environ[key] as string | undefined;
}
