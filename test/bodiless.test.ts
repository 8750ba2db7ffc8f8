// Answers that have no body whatever their application gives, by each way out. RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import lido, { type LidoOptions } from '../dist/src/fastify.js';
import { serveByNode } from './support/handler.js';
import { get, RawClient } from './support/raw-client.js';
import { fixture, languages, startServer } from './support/server.js';

const BODIES = [['body'], ['one', 'two'], []];
const ANSWERS = [[], [['Content-Length', '4']]].flatMap((headers) =>
  BODIES.map((body) => ({ headers, body })),
);

describe.each(languages)('of a %s application', (language) => {
  const application = { ...fixture(language, 'headFromQuery'), threads: 1 };
  const ways = {
    'its own HTTP': async () => (await startServer(application)).port,
    'node:http': () => serveByNode(application),
    Fastify: async () => {
      const app = fastify();
      onTestFinished(() => app.close());
      await app.register(lido, application as LidoOptions);
      await app.listen({ port: 0, host: '127.0.0.1' });
      return (app.server.address() as AddressInfo).port;
    },
  };

  it.each(Object.entries(ways))('by %s', async (_, serve) => {
    const port = await serve();
    const client = new RawClient(port);
    for (const status of [204, 205, 304])
      for (const answer of ANSWERS) {
        const query = { ...answer, status: `${status} Reason Text` };
        client.send(get(`/?${encodeURIComponent(JSON.stringify(query))}`) + get('/?{}'));
        const { headers, body, ...rest } = await client.readResponse();
        const length = { 204: undefined, 205: '0', 304: answer.headers[0]?.[1] }[status];
        const said = [rest.status, headers['content-length'], headers['transfer-encoding'], body.toString()];
        expect([query, ...said]).toEqual([query, status, length, undefined, '']);
        expect(await client.readResponse()).toMatchObject({ status: 200, body: Buffer.from('body') });
      }
  });
});
