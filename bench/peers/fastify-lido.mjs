/**
 * Fastify with a route of its own, /tiny, Python below /legacy, and all the rest in JavaScript, both by Lido.
 * Usage: node fastify-lido.mjs PORT THREADS
 */
import Fastify from 'fastify';
import lido from '../../dist/src/fastify.js';
import { javascriptApps, pythonApps, venv } from '../lib/paths.mjs';
import { answer } from './handler.mjs';

const app = Fastify({ logger: false });
app.get('/tiny', (_request, reply) => reply.type('text/plain').send(answer('/tiny')));
await app.register(lido, {
  application: `${javascriptApps}/work.js:application`,
  threads: Number(process.argv[3]),
});
await app.register(lido, {
  prefix: '/legacy',
  application: `${pythonApps}/work.py:application`,
  python: venv,
});
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
