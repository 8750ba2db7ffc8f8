/** What a server puts into environ. */
import type { Environ } from '../../src/contract/wsgi.js';
import { breach, type ProtocolError, show } from './breach.js';

const REQUIRED = [
  'REQUEST_METHOD',
  'SERVER_NAME',
  'SERVER_PORT',
  'SERVER_PROTOCOL',
  'wsgi.version',
  'wsgi.url_scheme',
  'wsgi.input',
  'wsgi.errors',
  'wsgi.multithread',
  'wsgi.multiprocess',
  'wsgi.run_once',
];
/** "SERVER_NAME and SERVER_PORT strings can never be empty." */
const NEVER_EMPTY = ['SERVER_NAME', 'SERVER_PORT'];
/** CGI has these two without HTTP_ before them. */
const MISNAMED = ['HTTP_CONTENT_TYPE', 'HTTP_CONTENT_LENGTH'];
const INPUT_METHODS = ['read', 'readline', 'readlines', Symbol.iterator];
const ERRORS_METHODS = ['write', 'writelines', 'flush'];
// RFC 9110, section 5.6.2.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Characters that stand for one byte each. */
const BYTES_AS_TEXT = /^[\x00-\xff]*$/;

/** Throws a ProtocolError against the server, or the middleware in its place. */
export function checkEnviron(environ: Environ): void {
  for (const key of REQUIRED) if (!(key in environ)) throw wrong(`left ${key} out of environ`, 'set it');
  for (const key of NEVER_EMPTY)
    if (environ[key] === '')
      throw wrong(`left ${key} empty`, 'name the host, and the port of the scheme where there is none');
  for (const key of MISNAMED)
    if (key in environ) throw wrong(`set ${key}`, `name it ${key.slice('HTTP_'.length)}`);
  for (const [key, value] of Object.entries(environ)) if (!key.includes('.')) checkText(key, value);
  checkVersion(environ);
  checkPaths(environ);
  checkRequest(environ);
  checkMethods(environ, 'wsgi.input', INPUT_METHODS);
  checkMethods(environ, 'wsgi.errors', ERRORS_METHODS);
}

function checkText(key: string, value: unknown): void {
  if (typeof value !== 'string') throw wrong(`set ${key} to ${String(value)}`, 'CGI variables are strings');
  if (!BYTES_AS_TEXT.test(value))
    throw wrong(
      `set ${key} to ${JSON.stringify(value)}`,
      'a native string has no character above U+00FF: Buffer.from(text).toString("latin1")',
      'A Note On String Types',
    );
}

function checkVersion(environ: Environ): void {
  const version: unknown = environ['wsgi.version'];
  if (!Array.isArray(version) || version.length !== 2 || version[0] !== 1 || version[1] !== 0)
    throw wrong(`set wsgi.version to ${show(version)}`, 'it is [1, 0]');
  const scheme: unknown = environ['wsgi.url_scheme'];
  if (scheme !== 'http' && scheme !== 'https')
    throw wrong(`set wsgi.url_scheme to ${show(scheme)}`, 'it is "http" or "https"');
}

function checkPaths(environ: Environ): void {
  const { SCRIPT_NAME: script = '', PATH_INFO: path = '', REQUEST_METHOD: method } = environ;
  if (!('SCRIPT_NAME' in environ) && !('PATH_INFO' in environ))
    throw wrong('set neither SCRIPT_NAME nor PATH_INFO', 'set one of them');
  if (script === '/')
    throw wrong(
      'set SCRIPT_NAME to "/"',
      'an application at the root has an empty SCRIPT_NAME, and PATH_INFO "/"',
    );
  if (script !== '' && !script.startsWith('/'))
    throw wrong(`set SCRIPT_NAME to ${JSON.stringify(script)}`, 'it is empty or starts with a slash');
  const isAsterisk = method === 'OPTIONS' && path === '*';
  if (path !== '' && !path.startsWith('/') && !isAsterisk)
    throw wrong(`set PATH_INFO to ${JSON.stringify(path)}`, 'it is empty or starts with a slash');
}

function checkRequest({ REQUEST_METHOD: method, CONTENT_LENGTH: length = '' }: Environ): void {
  if (!TOKEN.test(method))
    throw wrong(`set REQUEST_METHOD to ${JSON.stringify(method)}`, 'a method is a token');
  if (!/^\d*$/.test(length))
    throw wrong(`set CONTENT_LENGTH to ${JSON.stringify(length)}`, 'it is absent, empty, or decimal digits');
}

function checkMethods(environ: Environ, key: string, methods: readonly PropertyKey[]): void {
  const stream = environ[key] as Record<PropertyKey, unknown> | null | undefined;
  for (const method of methods)
    if (typeof stream?.[method] !== 'function')
      throw wrong(`passed a ${key} without ${String(method)}`, 'it needs it', 'Input and Error Streams');
}

function wrong(deed: string, instead: string, section = 'environ Variables'): ProtocolError {
  return breach('server', section, deed, instead);
}
