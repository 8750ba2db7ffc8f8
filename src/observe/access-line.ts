/** Main thread. A finished request ► its line in the access log. */
import type { AccessPart, AccessWord } from '../settings/access-format.js';
import type { FinishedRequest } from './finished-request.js';

type Writer = (request: FinishedRequest) => string;

/** Makes the function that writes lines of this format, without the newline. */
export function compileAccessFormat(parts: readonly AccessPart[]): Writer {
  const writers = parts.map(chooseWriter);
  return (request) => {
    let line = '';
    for (const write of writers) line += write(request);
    return line;
  };
}

function chooseWriter(part: AccessPart): Writer {
  if ('text' in part) return () => part.text;
  if ('word' in part) return WORDS[part.word];
  const { kind, name } = part;
  if (kind === 'i') return (request) => escapeValue(request.requestField(name));
  if (kind === 'o') return (request) => escapeValue(request.responseField(name));
  return (request) => escapeValue(request.environKey(name));
}

const WORDS: Readonly<Record<AccessWord, Writer>> = {
  h: ({ remoteAddress }) => remoteAddress || '-',
  l: () => '-',
  u: (request) => escapeValue(readUser(request.requestField('authorization'))),
  t: () => formatTime(Date.now()),
  // A dash where what came was no request.
  r: ({ method, url, httpVersion }) =>
    method === '' ? '-' : `${escapeValue(method)} ${escapeValue(url)} HTTP/${httpVersion}`,
  m: ({ method }) => escapeValue(method),
  U: ({ url }) => escapeValue(cutTarget(url)[0]),
  q: ({ url }) => escapeValue(cutTarget(url)[1]),
  H: ({ httpVersion }) => `HTTP/${httpVersion}`,
  s: ({ status }) => String(status),
  B: ({ bytesSent }) => String(bytesSent),
  b: ({ bytesSent }) => (bytesSent === 0 ? '-' : String(bytesSent)),
  f: (request) => escapeValue(request.requestField('referer')),
  a: (request) => escapeValue(request.requestField('user-agent')),
  T: ({ durationMs }) => String(Math.floor(durationMs / 1000)),
  M: ({ durationMs }) => String(Math.floor(durationMs)),
  D: ({ durationMs }) => String(Math.floor(durationMs * 1000)),
  L: ({ durationMs }) => (durationMs / 1000).toFixed(6),
  p: () => `<${process.pid}>`,
  R: ({ requestId }) => escapeValue(requestId),
  W: ({ waitMs }) => String(Math.floor(waitMs)),
};

const NEEDS_ESCAPE = /[^ !#-[\]-~]/;

/**
 * What a client wrote, so that it neither ends a quoted value, nor starts a line, nor moves a terminal's cursor: a quote
 * and a backslash get a backslash, and every byte that is no printable ASCII is \xHH, as in Apache's logs. "-" for nothing.
 */
export function escapeValue(value: string | undefined): string {
  if (value === undefined || value === '') return '-';
  if (!NEEDS_ESCAPE.test(value)) return value;
  return value.replace(/[^ !#-[\]-~]/g, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : [...Buffer.from(character, character <= '\xff' ? 'latin1' : 'utf8')].map(escapeByte).join(''),
  );
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** RFC 7617, section 2: what stands before the first colon. */
function readUser(authorization: string | undefined): string | undefined {
  const [, credentials] = /^basic +([\w+/=-]+)$/i.exec(authorization ?? '') ?? [];
  if (credentials === undefined) return undefined;
  return Buffer.from(credentials, 'base64').toString('latin1').split(':', 1)[0];
}

function cutTarget(url: string): [path: string, query: string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

let timeOfText = 0;
let timeText = '';

/** Made once a second: the machine's own time zone, as gunicorn and nginx write it. */
function formatTime(now: number): string {
  const second = Math.floor(now / 1000);
  if (second === timeOfText) return timeText;
  timeOfText = second;
  const date = new Date(now);
  const day = `${pad(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`;
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(offset) / 60))}${pad(Math.abs(offset) % 60)}`;
  timeText = `[${day}:${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())} ${zone}]`;
  return timeText;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function pad(number: number): string {
  return String(number).padStart(2, '0');
}
