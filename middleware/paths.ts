/** `lido/paths`: several applications behind one, by the start of the path. */
import type { Application } from '../src/contract/wsgi.js';

const NOT_FOUND: Application = (_environ, startResponse) => {
  startResponse('404 Not Found', [['Content-Type', 'text/plain; charset=utf-8']]);
  return ['Not Found\n'];
};

/**
 * Gives each request to the application with the longest prefix that its path starts with: `/shop` takes `/shop` and
 * `/shop/cart`, not `/shopping`; `/` takes everything. The prefix moves from PATH_INFO to SCRIPT_NAME, as PEP 3333,
 * "environ Variables", has it, so that the application builds its own URLs with it. What no prefix fits goes to
 * `fallback`, which answers 404 unless it is given.
 *
 * Throws a TypeError for a prefix that does not start with a slash or ends with one.
 */
export function paths(
  applications: Readonly<Record<string, Application>>,
  fallback: Application = NOT_FOUND,
): Application {
  const mounts = Object.entries(applications).map(([prefix, application]) => readMount(prefix, application));
  mounts.sort((one, other) => other.prefix.length - one.prefix.length);
  return (environ, startResponse) => {
    const { PATH_INFO: path } = environ;
    const mount = mounts.find(({ prefix }) => startsWithSegments(path, prefix));
    if (mount === undefined) return fallback(environ, startResponse);
    environ.SCRIPT_NAME += mount.prefix;
    environ.PATH_INFO = path.slice(mount.prefix.length);
    return mount.application(environ, startResponse);
  };
}

interface Mount {
  /** Bytes as text, like PATH_INFO; empty where everything fits. */
  readonly prefix: string;
  readonly application: Application;
}

function readMount(prefix: string, application: Application): Mount {
  if (!/^\/$|^(\/[^/]+)+$/.test(prefix)) {
    throw new TypeError(`paths() takes prefixes like "/shop" and "/", not ${JSON.stringify(prefix)}`);
  }
  if (typeof application !== 'function') {
    throw new TypeError(
      `paths() takes an application, a function, for ${prefix}, not ${String(application)}`,
    );
  }
  return { prefix: prefix === '/' ? '' : Buffer.from(prefix).toString('latin1'), application };
}

function startsWithSegments(path: string, prefix: string): boolean {
  return (
    path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/' || prefix === '')
  );
}
