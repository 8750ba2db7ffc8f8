// A request ► the wire ► the worker's environ, without a server in between.
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { buildEnviron, type EnvironContext } from '../../../dist/src/http/environ.js';
import { parseTarget } from '../../../dist/src/http/target.js';
import { EnvironDecoder } from '../../../dist/workers/javascript/environ.js';

const connection = {
  scheme: 'http',
  host: null,
  serverName: 'server',
  serverPort: '80',
  remoteAddress: '10.0.0.1',
  remotePort: '1234',
} as const;
const plain: EnvironContext = {
  requestId: 'id-1',
  url: null,
  scriptName: '',
  contentLength: null,
  extra: null,
};
const decoder = new EnvironDecoder({
  constants: { SERVER_SOFTWARE: 'lido' },
  multithread: true,
  multiprocess: false,
} as never);

function carry(url: string, rawHeaders: readonly string[] = [], context: Partial<EnvironContext> = {}) {
  const request = { method: 'GET', url, httpVersion: '1.1', rawHeaders } as unknown as IncomingMessage;
  return decoder.decode(buildEnviron(request, connection, { ...plain, ...context }));
}

describe('the environ', () => {
  test('survives empty values anywhere', () => {
    const environ = carry('/?', ['X-Empty', '', 'X-Last', '']);
    expect(environ).toMatchObject({
      QUERY_STRING: '',
      SCRIPT_NAME: '',
      HTTP_X_EMPTY: '',
      HTTP_X_LAST: '',
      SERVER_SOFTWARE: 'lido',
    });
  });

  test('has SCRIPT_NAME and PATH_INFO split at the mount point', () => {
    expect(carry('/shop/a%20b', [], { scriptName: '/shop' })).toMatchObject({
      SCRIPT_NAME: '/shop',
      PATH_INFO: '/a b',
    });
    expect(carry('/shop', [], { scriptName: '/shop' })).toMatchObject({
      SCRIPT_NAME: '/shop',
      PATH_INFO: '',
    });
  });

  test('keeps what is no percent escape as it is', () => {
    expect(carry('/%zz%4%41').PATH_INFO).toBe('/%zz%4A');
  });

  test('drops names with an underscore, which would pose as names with a dash', () => {
    const headers = ['X-Forwarded-User', 'real', 'X_Forwarded_User', 'forged'];
    expect(carry('/', headers).HTTP_X_FORWARDED_USER).toBe('real');
  });

  test('takes the host of an absolute target for Host', () => {
    expect(carry('http://target.test:81/path?q', ['Host', 'other.test'])).toMatchObject({
      HTTP_HOST: 'target.test:81',
      PATH_INFO: '/path',
      QUERY_STRING: 'q',
    });
  });

  test('takes keys of the embedding service, over what the client sent', () => {
    expect(
      carry('/', ['X-User', 'forged'], { extra: { HTTP_X_USER: 'real', REMOTE_USER: 'a\0b' } }),
    ).toMatchObject({ HTTP_X_USER: 'real', REMOTE_USER: 'ab' });
  });

  test('does not mix requests whose keys differ', () => {
    expect(carry('/', ['A', '1', 'B', '2'])).toMatchObject({ HTTP_A: '1', HTTP_B: '2' });
    const second = carry('/', ['B', '3']);
    expect(second.HTTP_B).toBe('3');
    expect(second).not.toHaveProperty('HTTP_A');
  });
});

test.each([
  ['/a/b?c=d?e', { path: '/a/b', query: 'c=d?e' }],
  ['*', { path: '/*', query: '' }],
  ['http://h:1', { path: '/', query: '', scheme: 'http', authority: 'h:1' }],
  ['HTTPS://h/p?q', { path: '/p', query: 'q', scheme: 'https', authority: 'h' }],
  ['//a//b', { path: '//a//b', query: '' }],
])('the target %s is taken apart', (url, parts) => {
  expect(parseTarget(url)).toEqual(parts);
});
