// Every raw request of the corpus, sent as it is: all answers are well framed, and none comes unasked.
import { describe, expect, test } from 'vitest';
import { type Case, corpus } from './corpus/requests.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { fixture, root, startServer } from './support/server.js';

async function observe(port: number, { request, statuses }: Case) {
  const client = new RawClient(port);
  const method = /^[A-Z]+/.exec(request)?.[0] ?? 'GET';
  client.send(request);
  const seen: number[] = [];
  for (const expected of statuses) {
    const response = await client.readResponse({ method, informational: expected < 200 });
    seen.push(response.status);
    // RFC 9110, section 6.6.1: every answer from 200 on tells the time.
    if (expected >= 200)
      expect(response.headers.date).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
    if (response.status !== expected) break;
  }
  // A connection that stays open answers one more request, and nothing else.
  client.send(get('/probe', 'Connection: close\r\n'));
  const rest = await client.readAll();
  return { statuses: seen, closes: rest === '', rest };
}

describe.each(Object.entries(corpus))('%s', (_category, cases) => {
  test.each(cases.map((item) => [item.name, item] as const))('%s', async (_name, item) => {
    const { port } = await startServer(fixture('javascript', 'echo'));
    const { statuses, closes, rest } = await observe(port, item);
    expect({ statuses, closes }).toEqual({ statuses: item.statuses, closes: item.closes });
    if (!item.closes)
      expect(rest).toMatch(
        /^HTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*Connection: close\r\n(?:[^\r\n]+\r\n)*\r\n$/,
      );
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
  ['a malformed Host', [`GET /refused HTTP/1.1\r\nHost: a b\r\n\r\n${get('/behind')}`]],
  ['an expectation', [`GET /refused HTTP/1.1\r\nHost: lido.test\r\nExpect: x\r\n\r\n${get('/behind')}`]],
  [
    'an Upgrade, behind which node:http passes over a head and takes its body for a request',
    [
      get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n') +
        `POST / HTTP/1.1\r\nHost: lido.test\r\nContent-Length: ${get('/behind').length}\r\n\r\n`,
      get('/behind'),
    ],
  ],
] as const)('nothing behind %s reaches the application', async (_name, packets) => {
  const { port, lines } = await startServer({ application: `${root}test/apps/applications.mjs:logsTarget` });
  const client = new RawClient(port);
  client.send(packets[0]);
  await client.readResponse();
  client.send(packets[1] ?? '');
  await client.readAll();
  expect((await exchange(port, get('/last'))).status).toBe(200);
  expect(lines.filter(({ msg }) => msg.includes('/behind'))).toEqual([]);
});
