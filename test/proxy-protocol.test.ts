// A proxy that tells of its client before the client speaks: --proxy-protocol.
import { describe, expect, it } from 'vitest';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { get, RawClient } from './support/raw-client.js';
import { fixture, startServer } from './support/server.js';

const TRUSTED: UserSettings = { proxyProtocol: true, forwardedAllowIps: ['127.0.0.1'] };
const LINE = 'PROXY TCP4 203.0.113.7 192.0.2.1 54321 443\r\n';
const BLOCK = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007107c0000201d43101bb', 'hex');

function serve(settings: UserSettings) {
  return startServer({ ...fixture('javascript', 'showEnviron'), ...settings });
}

describe('a trusted proxy', () => {
  it.each([
    ['version 1', Buffer.from(LINE)],
    ['version 2', BLOCK],
  ])(
    'tells the application of the client, for all requests of the connection: %s',
    async (_version, header) => {
      const { port } = await serve(TRUSTED);
      const client = new RawClient(port);
      client.send(Buffer.concat([header, Buffer.from(get('/one'))]));
      for (const path of ['/one', '/two']) {
        const { body } = await client.readResponse();
        for (const line of [
          `PATH_INFO=${path}`,
          'REMOTE_ADDR=203.0.113.7',
          'REMOTE_PORT=54321',
          'SERVER_PORT=443',
        ])
          expect(body.toString()).toContain(`${line}\n`);
        if (path === '/one') client.send(get('/two'));
      }
    },
  );

  it('may send it in any pieces, with the request right behind', async () => {
    const { port } = await serve(TRUSTED);
    const whole = Buffer.concat([BLOCK, Buffer.from(get('/'))]);
    for (const cut of [1, 12, BLOCK.length - 1, BLOCK.length, BLOCK.length + 1]) {
      const client = new RawClient(port);
      client.send(whole.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(whole.subarray(cut));
      expect((await client.readResponse()).body.toString()).toContain('REMOTE_ADDR=203.0.113.7\n');
    }
  });

  it('may speak for itself', async () => {
    const { port } = await serve(TRUSTED);
    const client = new RawClient(port);
    client.send(`PROXY UNKNOWN\r\n${get('/')}`);
    expect((await client.readResponse()).body.toString()).toContain('REMOTE_ADDR=127.0.0.1\n');
  });

  it('is refused, and told of in the log, where it says something else, or nothing in time', async () => {
    const { port, findLine } = await serve({ ...TRUSTED, headerTimeout: 0.2 });
    const plain = new RawClient(port);
    plain.send(get('/'));
    expect(await plain.closes()).toBe(true);
    const line = await findLine(({ msg }) => msg.includes('PROXY protocol'));
    expect(line).toMatchObject({ remoteAddress: '127.0.0.1' });
    expect(await new RawClient(port).closes()).toBe(true);
  });
});

it.each([
  ['nobody asked for it', { forwardedAllowIps: ['127.0.0.1'] }],
  ['its peer is not trusted', { proxyProtocol: true, forwardedAllowIps: ['10.0.0.1'] }],
])('the PROXY protocol is no request where %s', async (_why, settings) => {
  const { port } = await serve(settings);
  const proxied = new RawClient(port);
  proxied.send(LINE + get('/'));
  expect((await proxied.readResponse()).status).toBe(400);
  const plain = new RawClient(port);
  plain.send(get('/'));
  expect((await plain.readResponse()).body.toString()).toContain('REMOTE_ADDR=127.0.0.1\n');
});
