import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../dist/src/http/connection.js';
import { resolveForwarded } from '../dist/src/http/forwarded.js';
import { resolveUserSettings, type UserSettings } from '../dist/src/settings/resolve.js';
import { type ForwardedField, trustProxies } from '../dist/src/settings/trusted-proxies.js';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

const peer: Connection = {
  scheme: 'http',
  host: null,
  serverName: '10.0.0.9',
  serverPort: '8000',
  remoteAddress: '10.0.0.1',
  remotePort: '50000',
};
const own = { ...peer, host: null };
const xForwarded: ForwardedField[] = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
];

const see = (
  headers: Record<string, string>,
  { proxies = ['10.0.0.0/8'], fields = xForwarded, from = peer } = {},
) => resolveForwarded(from, headers, trustProxies(proxies, fields));
const addressOf = (list: string, options = {}) => see({ 'x-forwarded-for': list }, options).remoteAddress;
const from = (remoteAddress: string): Connection => ({ ...peer, remoteAddress });

describe('whom it trusts', () => {
  const headers = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' };

  it('believes a proxy in a trusted network', () => {
    expect(see(headers)).toEqual({ ...own, scheme: 'https', remoteAddress: '192.0.2.7', remotePort: '' });
  });

  it.each(['192.0.2.1', '11.0.0.1', '::1', '', 'nonsense'])('believes nothing that %j tells', (address) => {
    expect(see(headers, { from: from(address) })).toEqual({ ...own, remoteAddress: address });
  });

  it('believes nothing where nobody is trusted', () => {
    expect(see(headers, { proxies: [] })).toEqual(own);
  });

  it.each([
    ['a single address', ['10.0.0.1'], '10.0.0.1'],
    ['an IPv6 network', ['2001:db8::/32'], '2001:db8::5'],
    ['an IPv4 address of a listener on both families', ['10.0.0.0/8'], '::ffff:10.0.0.1'],
    ['the second of a list', ['127.0.0.1', '10.0.0.0/8'], '10.0.0.1'],
    ['everyone', ['*'], '203.0.113.5'],
    ['everyone, on a Unix socket', ['*'], ''],
    ['a Unix socket', ['unix'], ''],
  ])('knows %s', (_name, proxies, address) => {
    expect(see(headers, { proxies, from: from(address) }).remoteAddress).toBe('192.0.2.7');
  });

  it('does not take TCP for a Unix socket', () => {
    expect(see(headers, { proxies: ['unix'] })).toEqual(own);
  });

  it('believes only the fields that were named, for a proxy passes others on as the client sent them', () => {
    const spoofed = {
      ...headers,
      'x-forwarded-host': 'evil.test',
      forwarded: 'for=198.51.100.1;host=evil.test',
    };
    expect(see(spoofed, { fields: ['x-forwarded-for'] })).toEqual({
      ...own,
      remoteAddress: '192.0.2.7',
      remotePort: '',
    });
  });

  it.each([
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.1/',
    '10.0.0.1/8/8',
    '10.0.0.1/-1',
    'proxy.test',
    '',
  ])('refuses the list entry %j', (entry) => {
    expect(() => trustProxies([entry], [])).toThrow(
      new RangeError(`${JSON.stringify(entry)} is neither an address, nor a network, nor unix, nor *`),
    );
  });

  it('refuses to mix both families of fields', () => {
    expect(() => trustProxies(['*'], ['forwarded', 'x-forwarded-for'])).toThrow(/name either it or them/);
  });
});

describe('X-Forwarded-For', () => {
  it.each([
    ['one proxy', '192.0.2.7', '192.0.2.7'],
    ['a client that made up an address', '198.51.100.1, 192.0.2.7', '192.0.2.7'],
    ['a client that made up a trusted address', '10.0.0.3, 192.0.2.7', '192.0.2.7'],
    ['two trusted proxies', '192.0.2.7, 10.0.0.2', '192.0.2.7'],
    ['a made-up address and two trusted proxies', '198.51.100.1,192.0.2.7,10.0.0.2', '192.0.2.7'],
    ['a client inside the trusted network', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['IPv6', '2001:db8::7', '2001:db8::7'],
    ['IPv6 in brackets', '[2001:db8::7]', '2001:db8::7'],
    ['nothing', '', '10.0.0.1'],
    ['commas', ' , ,', '10.0.0.1'],
    ['unknown', 'unknown', '10.0.0.1'],
    ['a name', 'client.test', '10.0.0.1'],
    ['numbers out of range', '300.0.0.1', '10.0.0.1'],
    ['noise in front of a trusted proxy', '192.0.2.7, noise, 10.0.0.2', '10.0.0.2'],
    ['a NUL', '192.0.2.7\0', '10.0.0.1'],
  ])('%s', (_name, list, expected) => {
    expect(addressOf(list)).toBe(expected);
  });

  it('takes over a port, in brackets or not', () => {
    expect(see({ 'x-forwarded-for': '192.0.2.7:4711' })).toMatchObject({
      remoteAddress: '192.0.2.7',
      remotePort: '4711',
    });
    expect(see({ 'x-forwarded-for': '[2001:db8::7]:4711' })).toMatchObject({
      remoteAddress: '2001:db8::7',
      remotePort: '4711',
    });
    expect(addressOf('192.0.2.7:99999')).toBe('10.0.0.1');
  });
});

describe('X-Forwarded-Proto, -Host and -Port', () => {
  it.each([
    ['https', 'https'],
    ['HTTPS', 'https'],
    ['http', 'http'],
    ['ws', 'http'],
    ['https://', 'http'],
    ['', 'http'],
  ])('the proto %j means %s', (proto, expected) => {
    expect(see({ 'x-forwarded-proto': proto }).scheme).toBe(expected);
  });

  it('takes name and port from the host', () => {
    expect(see({ 'x-forwarded-host': 'shop.test', 'x-forwarded-proto': 'https' })).toMatchObject({
      host: 'shop.test',
      serverName: 'shop.test',
      serverPort: '443',
    });
    expect(see({ 'x-forwarded-host': '[2001:db8::1]:8443' })).toMatchObject({
      host: '[2001:db8::1]:8443',
      serverName: '[2001:db8::1]',
      serverPort: '8443',
    });
  });

  it('adds a port to a host without one, unless it is the usual one', () => {
    const headers = { 'x-forwarded-host': 'shop.test', 'x-forwarded-proto': 'https' };
    expect(see({ ...headers, 'x-forwarded-port': '8443' })).toMatchObject({
      host: 'shop.test:8443',
      serverPort: '8443',
    });
    expect(see({ ...headers, 'x-forwarded-port': '443' })).toMatchObject({
      host: 'shop.test',
      serverPort: '443',
    });
  });

  it('takes a port alone', () => {
    expect(see({ 'x-forwarded-port': '8080' })).toEqual({ ...own, serverPort: '8080' });
  });

  it.each(['a b', 'a/b', 'u@a', '', 'a:b', 'evil.test\r\nX: y'])('passes the host %j over', (host) => {
    expect(see({ 'x-forwarded-host': host })).toEqual(own);
  });

  it.each(['0', '65536', '-1', 'x', '80x'])('passes the port %j over', (port) => {
    expect(see({ 'x-forwarded-port': port })).toEqual(own);
  });

  it('reads lists side by side with the addresses, from their ends', () => {
    const headers = {
      'x-forwarded-for': '198.51.100.1, 192.0.2.7, 10.0.0.2',
      'x-forwarded-proto': 'http, https, http',
      'x-forwarded-host': 'made.up, shop.test, inner.test',
    };
    expect(see(headers)).toMatchObject({ scheme: 'https', host: 'shop.test', remoteAddress: '192.0.2.7' });
  });

  it('does not let a client put its own in front', () => {
    const headers = {
      'x-forwarded-for': '10.0.0.3, 192.0.2.7',
      'x-forwarded-proto': 'https, http',
      'x-forwarded-host': 'evil.test, shop.test',
    };
    expect(see(headers)).toMatchObject({ scheme: 'http', host: 'shop.test', remoteAddress: '192.0.2.7' });
  });

  it('takes the last of a list that is longer than that of the addresses', () => {
    const headers = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https, http' };
    expect(see(headers).scheme).toBe('http');
    expect(see({ 'x-forwarded-proto': 'https, http' }).scheme).toBe('http');
  });

  it('keeps what the nearest proxy told where those before it told nothing', () => {
    const headers = { 'x-forwarded-for': '192.0.2.7, 10.0.0.2', 'x-forwarded-host': 'shop.test' };
    expect(see(headers)).toMatchObject({ host: 'shop.test', remoteAddress: '192.0.2.7' });
  });
});

describe('Forwarded (RFC 7239)', () => {
  const fields: ForwardedField[] = ['forwarded'];
  const read = (forwarded: string) => see({ forwarded }, { fields });

  it.each([
    ['for=192.0.2.7;proto=https;host=shop.test', '192.0.2.7', 'https', 'shop.test'],
    ['For="192.0.2.7:4711"; Proto=HTTPS ; Host="shop.test:8443"', '192.0.2.7', 'https', 'shop.test:8443'],
    ['for="[2001:db8::7]:4711"', '2001:db8::7', 'http', null],
    ['for=192.0.2.7, for=10.0.0.2', '192.0.2.7', 'http', null],
    ['for=198.51.100.1;proto=https, for=192.0.2.7', '192.0.2.7', 'http', null],
    ['for=192.0.2.7;by=10.0.0.1;secret="a,b;c=\\"d"', '192.0.2.7', 'http', null],
    ['for=192.0.2.7;proto=https, for=10.0.0.2;proto=http', '192.0.2.7', 'https', null],
    ['for=unknown;proto=https', '10.0.0.1', 'https', null],
    ['for=_hidden', '10.0.0.1', 'http', null],
    ['for=192.0.2.7, for=_hidden', '10.0.0.1', 'http', null],
    ['', '10.0.0.1', 'http', null],
    ['for', '10.0.0.1', 'http', null],
    ['for=192.0.2.7;broken, for=198.51.100.1', '10.0.0.1', 'http', null],
    ['for="192.0.2.7', '10.0.0.1', 'http', null],
    ['for=192.0.2.7;host="evil test"', '192.0.2.7', 'http', null],
  ])('%s', (text, remoteAddress, scheme, host) => {
    expect(read(text)).toMatchObject({ remoteAddress, scheme, host });
  });

  it('does not look at X-Forwarded fields then', () => {
    expect(see({ 'x-forwarded-for': '192.0.2.7' }, { fields })).toEqual(own);
  });

  it('reads the longest field that fits through the gate without a pause', () => {
    const started = performance.now();
    for (const text of ['"'.repeat(8000), 'for="'.repeat(1600), 'a=b,'.repeat(2000), '"\\'.repeat(4000)])
      read(text);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('forwardedAllowIps', () => {
  const fields = 'X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n';
  const ask = async (settings: UserSettings) => {
    const { port } = await startServer({ ...fixture('javascript', 'showEnviron'), ...settings });
    const { body } = await exchange(port, get('/', fields));
    const lines = body.toString().split('\n');
    return ['REMOTE_ADDR', 'wsgi.url_scheme', 'HTTP_HOST'].map((key) =>
      lines.find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1),
    );
  };

  it('lets the environ tell what the proxy told, and nothing without it', async () => {
    expect(await ask({})).toEqual(['127.0.0.1', 'http', 'lido.test']);
    expect(await ask({ forwardedAllowIps: ['10.0.0.0/8'] })).toEqual(['127.0.0.1', 'http', 'lido.test']);
    expect(await ask({ forwardedAllowIps: ['127.0.0.0/8'] })).toEqual(['192.0.2.7', 'https', 'lido.test']);
    const forwardedFields = ['x-forwarded-host'] as const;
    expect(await ask({ forwardedAllowIps: ['*'], forwardedFields })).toEqual([
      '127.0.0.1',
      'http',
      'shop.test',
    ]);
  });

  it.each(['javascript', 'python'] as const)(
    'never leaves the port empty, which a Unix socket has not: PEP 3333 forbids that (%s)',
    async (language) => {
      const path = join(makeFolder({}), 'lido.sock');
      const settings = { bind: [`unix:${path}`], forwardedAllowIps: ['unix'], forwardedFields: xForwarded };
      await startServer({ ...fixture(language, 'showEnviron'), ...settings });
      const portAfter = async (told: string) =>
        /^SERVER_PORT=(.*)$/m.exec((await exchange(path, get('/', told))).body.toString())?.[1];
      expect(await portAfter('')).toBe('80');
      expect(await portAfter('X-Forwarded-Proto: https\r\n')).toBe('443');
      expect(await portAfter('X-Forwarded-Port: 8443\r\n')).toBe('8443');
    },
  );

  it('refuses what is no proxy, and fields that contradict each other', () => {
    const resolve = (settings: UserSettings) => () =>
      resolveUserSettings({ application: 'a.js', ...settings });
    expect(resolve({ forwardedAllowIps: ['10.0.0.0/33'] })).toThrow('takes an address, a network such as');
    expect(resolve({ forwardedFields: ['via' as never] })).toThrow('takes a list of x-forwarded-for');
    expect(resolve({ forwardedFields: ['forwarded', 'x-forwarded-for'] })).toThrow('forwarded tells all');
  });
});
