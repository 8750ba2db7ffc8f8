/** `lido/static`: the files of a folder, with conditional and range requests. */
import { closeSync, fstatSync, openSync, type Stats } from 'node:fs';
import mime from 'mime';
import type { Application, Environ, Header, Result, StartResponse } from '../src/contract/wsgi.js';
import { choosePart, createEtag, isUnmodified, meetsPrecondition } from './static/conditions.js';
import { type Found, openFolder } from './static/folder.js';

export interface StaticOptions {
  /** What a folder answers with; `index.html` unless it says otherwise, false for nothing. */
  readonly index?: string | false;
  /** How long clients may keep a file without asking again, in seconds; 0 unless it says otherwise. */
  readonly maxAge?: number;
  /** Whether files and folders whose names start with a dot are served; false unless it says otherwise. */
  readonly dotFiles?: boolean;
  /** Who answers for what is not there; 404 unless it is given. */
  readonly fallback?: Application;
}

/**
 * Serves the files of `folder`, a path or a file: URL, to GET and HEAD. Links that lead out of the folder, and `..`,
 * lead nowhere. Answers 200, 206 and 416 (RFC 9110, section 14; one range, the whole file for several), 304 and 412
 * (section 13), 301 for a folder without its slash, 404, and 405.
 *
 * Throws what node:fs does when there is no such folder.
 */
export function staticFiles(folder: string | URL, options: StaticOptions = {}): Application {
  const { index = 'index.html', dotFiles = false, maxAge = 0, fallback = notFound } = options;
  const find = openFolder(folder, { index, dotFiles });
  return (environ, startResponse) => {
    const { REQUEST_METHOD: method } = environ;
    if (method !== 'GET' && method !== 'HEAD') return refuseMethod(startResponse);
    const found = find(environ.PATH_INFO);
    if (found.kind === 'nothing') return fallback(environ, startResponse);
    if (found.kind === 'folder') return redirect(environ, startResponse);
    return sendFile(found, environ, startResponse, maxAge);
  };
}

function sendFile(
  { path }: Extract<Found, { kind: 'file' }>,
  environ: Environ,
  startResponse: StartResponse,
  maxAge: number,
): Result {
  const fd = openSync(path, 'r');
  const close = () => closeSync(fd);
  try {
    const stats = fstatSync(fd);
    const answer = chooseAnswer(environ, stats, nameType(path));
    startResponse(answer.status, [...describeFile(stats, maxAge), ...answer.fields]);
    if (answer.part !== null && environ.REQUEST_METHOD === 'GET') {
      return environ['wsgi.file_wrapper']({ fd, ...answer.part, close });
    }
  } catch (error) {
    close();
    throw error;
  }
  close();
  return [];
}

interface Answer {
  readonly status: string;
  readonly fields: readonly Header[];
  /** What of the file is sent; null for nothing. */
  readonly part: { readonly position: number; readonly length: number } | null;
}

function chooseAnswer(environ: Environ, stats: Stats, type: Header): Answer {
  if (!meetsPrecondition(environ, stats)) {
    return { status: '412 Precondition Failed', fields: [type, ['Content-Length', '0']], part: null };
  }
  if (isUnmodified(environ, stats)) return { status: '304 Not Modified', fields: [], part: null };
  // RFC 9110, section 14.2: ranges are for GET alone.
  const part = environ.REQUEST_METHOD === 'GET' ? choosePart(environ, stats) : null;
  if (part === 'unsatisfiable') {
    const fields: Header[] = [type, ['Content-Range', `bytes */${stats.size}`], ['Content-Length', '0']];
    return { status: '416 Range Not Satisfiable', fields, part: null };
  }
  const { position, length } = part ?? { position: 0, length: stats.size };
  const fields: Header[] = [type, ['Content-Length', String(length)]];
  if (part !== null)
    fields.push(['Content-Range', `bytes ${position}-${position + length - 1}/${stats.size}`]);
  return { status: part === null ? '200 OK' : '206 Partial Content', fields, part: { position, length } };
}

function describeFile(stats: Stats, maxAge: number): Header[] {
  return [
    ['Cache-Control', `public, max-age=${maxAge}`],
    ['Last-Modified', stats.mtime.toUTCString()],
    ['ETag', createEtag(stats)],
    ['Accept-Ranges', 'bytes'],
  ];
}

function nameType(path: string): Header {
  const type = mime.getType(path) ?? 'application/octet-stream';
  const isText = /^text\/|^application\/json$|\+(json|xml)$/.test(type);
  return ['Content-Type', isText ? `${type}; charset=utf-8` : type];
}

function redirect(environ: Environ, startResponse: StartResponse): Result {
  const { SCRIPT_NAME, PATH_INFO, QUERY_STRING } = environ;
  const path = Buffer.from(`${SCRIPT_NAME}${PATH_INFO}/`, 'latin1').toString();
  // Two slashes at the start would name another host.
  const location = encodeURI(path).replace(/^\/+/, '/').replace(/[?#]/g, encodeURIComponent);
  startResponse('301 Moved Permanently', [
    ['Location', QUERY_STRING ? `${location}?${QUERY_STRING}` : location],
    ['Content-Type', 'text/plain; charset=utf-8'],
  ]);
  return ['Moved Permanently\n'];
}

function refuseMethod(startResponse: StartResponse): Result {
  startResponse('405 Method Not Allowed', [
    ['Allow', 'GET, HEAD'],
    ['Content-Type', 'text/plain; charset=utf-8'],
  ]);
  return ['Method Not Allowed\n'];
}

const notFound: Application = (_environ, startResponse) => {
  startResponse('404 Not Found', [['Content-Type', 'text/plain; charset=utf-8']]);
  return ['Not Found\n'];
};
