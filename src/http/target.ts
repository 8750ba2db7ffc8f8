/** Main thread. A request's target, taken apart without being rewritten: `..`, `//` and escapes stay. Pure. */

/** RFC 9112, section 3.2. `path` and `query` are as they came, percent-encoding and all. */
export interface Target {
  readonly path: string;
  readonly query: string;
  /** Only in absolute-form, where it takes the place of the Host field. */
  readonly authority?: string;
  readonly scheme?: string;
}

const ABSOLUTE_FORM = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)/;

/**
 * Takes an origin-form, absolute-form or asterisk-form target apart. `*` becomes `/*`: RFC 3875, section 4.1.5, has every
 * path that is not empty begin with a slash, and wsgiref.validate insists on it.
 */
export function parseTarget(url: string): Target {
  if (url.charCodeAt(0) === 0x2f) return splitQuery(url);
  const absolute = ABSOLUTE_FORM.exec(url);
  if (absolute === null) return splitQuery(url === '*' ? '/*' : url);
  const [prefix, scheme = '', authority = ''] = absolute;
  const { path, query } = splitQuery(url.slice(prefix.length));
  return { path: path === '' ? '/' : path, query, scheme: scheme.toLowerCase(), authority };
}

function splitQuery(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

/** Where an authority without a port leads. RFC 9110, section 4.2. */
export function defaultPort(scheme: 'http' | 'https'): string {
  return scheme === 'https' ? '443' : '80';
}
