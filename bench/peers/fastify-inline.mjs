/** Fastify, the application in its own thread. Usage: node fastify-inline.mjs PORT */
import { Readable } from 'node:stream';
import Fastify from 'fastify';
import { answer, blocks, countBody } from './handler.mjs';

const app = Fastify({ logger: false });
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
app.get('/', (_request, reply) => reply.type('text/plain').send(answer('/')));
app.get('/tiny', (_request, reply) => reply.type('text/plain').send(answer('/tiny')));
app.get('/cpu/:ms', (request, reply) => reply.type('text/plain').send(answer(request.url)));
app.put('/up', { bodyLimit: 2 ** 40 }, async (request, reply) =>
  reply.type('text/plain').send(await countBody(request.body)),
);
app.get('/down/:amount', (request, reply) => {
  const amount = Number(request.params.amount);
  return reply.header('Content-Length', amount).send(Readable.from(blocks('down', amount)));
});
app.get('/blocks/:amount', (request, reply) =>
  reply.send(Readable.from(blocks('blocks', Number(request.params.amount)))),
);
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
