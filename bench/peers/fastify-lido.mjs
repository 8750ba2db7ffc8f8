/**
 * Fastify with a route of its own, /tiny, and all the rest in the worker threads of its Lido plugin.
 * Usage: node fastify-lido.mjs PORT THREADS
 */
import Fastify from 'fastify';
import lido from '../../dist/src/fastify.js';
import { javascriptApps } from '../lib/paths.mjs';
import { answer } from './handler.mjs';

const app = Fastify({ logger: false });
app.get('/tiny', (_request, reply) => reply.type('text/plain').send(answer('/tiny')));
await app.register(lido, {
  application: `${javascriptApps}/work.js:application`,
  threads: Number(process.argv[3]),
});
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
