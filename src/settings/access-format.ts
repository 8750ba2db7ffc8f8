/** Main thread. What a line of the access log is made of, in gunicorn's words. Pure. */

/** What `%(...)s` may name, and what it stands for; gunicorn's `access_log_format` has the same. */
export const ACCESS_WORDS = {
  h: 'the client’s address',
  l: '"-"',
  u: 'the user of HTTP Basic authentication',
  t: 'the time, as [21/Nov/2026:13:51:51 +0000]',
  r: 'the request line',
  m: 'the method',
  U: 'the path, without the query',
  q: 'the query',
  H: 'the protocol',
  s: 'the status; 499 where the client went before there was one',
  B: 'bytes of the body that were sent',
  b: 'the same, "-" for none',
  f: 'the Referer field',
  a: 'the User-Agent field',
  T: 'the time taken, in whole seconds',
  M: 'in milliseconds',
  D: 'in microseconds',
  L: 'in seconds, with six decimals',
  p: 'the process, as <123>',
  R: 'the request’s id',
  W: 'the milliseconds that it waited for a worker',
} as const;

export type AccessWord = keyof typeof ACCESS_WORDS;

/** A piece of a line: text as it is, a word, or `{name}i`, `{name}o`, `{name}e`: a field of the request, of the response, a key of the environ. */
export type AccessPart =
  | { readonly text: string }
  | { readonly word: AccessWord }
  | { readonly kind: 'i' | 'o' | 'e'; readonly name: string };

/** Formats that have a name. */
export const NAMED_FORMATS: Readonly<Record<string, string>> = {
  common: '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s',
  combined: '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
};

/** Reads a format: `%(NAME)s` among text, `%%` for a percent sign. Throws a RangeError that says what is wrong with it. */
export function parseAccessFormat(format: string): readonly AccessPart[] {
  const parts: AccessPart[] = [];
  const pattern = Object.hasOwn(NAMED_FORMATS, format) ? (NAMED_FORMATS[format] as string) : format;
  for (const [piece, name] of pattern.matchAll(/%\(([^)]*)\)s|%%|[^%]+|%/g)) {
    if (name !== undefined) parts.push(readName(name));
    else if (piece === '%') throw new RangeError('a percent sign that begins no %(NAME)s is written %%');
    else parts.push({ text: piece === '%%' ? '%' : piece });
  }
  if (!parts.some((part) => !('text' in part)))
    throw new RangeError(`takes json, ${Object.keys(NAMED_FORMATS).join(', ')}, or text with %(NAME)s in it`);
  return parts;
}

function readName(name: string): AccessPart {
  if (Object.hasOwn(ACCESS_WORDS, name)) return { word: name as AccessWord };
  const [, field, kind] = /^\{([^{}]+)\}([ioe])$/.exec(name) ?? [];
  if (field !== undefined && kind !== undefined)
    return { kind: kind as 'i' | 'o' | 'e', name: kind === 'e' ? field : field.toLowerCase() };
  const words = `${Object.keys(ACCESS_WORDS).join(' ')} {field}i {field}o {key}e`;
  throw new RangeError(`%(${name})s names nothing; there are: ${words}`);
}
