// Every raw request of the corpus, sent as it is: all answers are well framed, and none comes unasked.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createHandler } from '../dist/src/index.js';
import { type Case, corpus } from './corpus/requests.js';
import { receivePackets } from './support/packets.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { createMemoryLog, fixture, root, startServer } from './support/server.js';

async function observe(port: number, { request, statuses }: Case, isNode: boolean) {
  const client = new RawClient(port);
  const method = /^[A-Z]+/.exec(request)?.[0] ?? 'GET';
  client.send(request);
  const seen: number[] = [];
  for (const expected of statuses) {
    const response = await client.readResponse({ method, informational: expected < 200 });
    seen.push(response.status);
    // RFC 9110, section 6.6.1: every answer from 200 on tells the time; what node:http refuses by itself does not.
    if (expected >= 200 && (!isNode || response.status === 200))
      expect(response.headers.date).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    if (response.status !== expected) break;
  }
  // A connection that stays open answers one more request, and nothing else.
  client.send(get('/probe', 'Connection: close\r\n'));
  const rest = await client.readAll();
  return { statuses: seen, closes: rest === '', rest };
}

/** The same application behind node:http's parser, which answers by itself what it refuses. */
async function serveUnderNode(): Promise<{ port: number }> {
  const handler = createHandler({ ...fixture('javascript', 'echo'), threads: 1, log: createMemoryLog().log });
  await handler.ready();
  const server = http.createServer({ requireHostHeader: false, maxHeaderSize: 1_000_000 }, handler);
  server.maxHeadersCount = 0;
  server.on('checkContinue', handler).on('checkExpectation', handler);
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await handler.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}

const serve = () => startServer(fixture('javascript', 'echo'));

/** As where Node.js has no shared memory for what clients send. */
async function serveByPackets(): Promise<{ port: number }> {
  receivePackets();
  onTestFinished(() => void vi.restoreAllMocks());
  return serve();
}

const ways = [
  ["Lido's own HTTP", serve, (item: Case) => item],
  ["Lido's own HTTP, by packets", serveByPackets, (item: Case) => item],
  ['node:http', serveUnderNode, (item: Case) => ({ ...item, ...item.underNode })],
] as const;

describe.each(ways)('over %s', (_way, start, expectedOf) => {
  describe.each(Object.entries(corpus))('%s', (_category, cases) => {
    test.each(cases.map((item) => [item.name, expectedOf(item)] as const))('%s', async (_name, item) => {
      const { port } = await start();
      const { statuses, closes, rest } = await observe(port, item, start === serveUnderNode);
      expect({ statuses, closes }).toEqual({ statuses: item.statuses, closes: item.closes });
      if (!item.closes)
        expect(rest).toMatch(
          /^HTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*Connection: close\r\n(?:[^\r\n]+\r\n)*\r\n$/,
        );
    });
  });
});

test('the corpus has at least two hundred cases, each with a name of its own', () => {
  const names = Object.entries(corpus).flatMap(([category, cases]) =>
    cases.map(({ name }) => `${category}: ${name}`),
  );
  expect(names.length).toBeGreaterThanOrEqual(200);
  expect(new Set(names).size).toBe(names.length);
});

test.each([
  ['a malformed Host', `GET /refused HTTP/1.1\r\nHost: a b\r\n\r\n${get('/behind')}`],
  ['an expectation', `GET /refused HTTP/1.1\r\nHost: lido.test\r\nExpect: x\r\n\r\n${get('/behind')}`],
] as const)('nothing behind %s reaches the application', async (_name, request) => {
  const { port, lines } = await startServer({ application: `${root}test/apps/applications.mjs:logsTarget` });
  const client = new RawClient(port);
  client.send(request);
  await client.readResponse();
  await client.readAll();
  expect((await exchange(port, get('/last'))).status).toBe(200);
  expect(lines.filter(({ msg }) => msg.includes('/behind'))).toEqual([]);
});
