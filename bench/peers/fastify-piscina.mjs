/** Fastify with one Piscina task per request: what a Node developer writes today. Usage: node fastify-piscina.mjs PORT THREADS */
import Fastify from 'fastify';
import Piscina from 'piscina';

const threads = Number(process.argv[3]);
const pool = new Piscina({
  filename: new URL('./piscina-task.mjs', import.meta.url).href,
  minThreads: threads,
  maxThreads: threads,
});
const app = Fastify({ logger: false });
app.get('/*', async (request, reply) =>
  reply.type('text/plain').send(Buffer.from(await pool.run(request.url))),
);
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
