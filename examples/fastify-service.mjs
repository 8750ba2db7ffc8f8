// One process, three things: a Fastify service with routes of its own, a legacy Flask application under /legacy, and
// heavy computing in JavaScript under /render. Start it with `node examples/fastify-service.mjs`.
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import lido from 'lido/fastify';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const app = Fastify({
  logger: { level: process.env.LOG_LEVEL ?? 'info' },
  // Once Lido has finished what runs, nothing is lost; connections that never brought a request would delay the end.
  forceCloseConnections: true,
});

app.get('/', async () => ({ pools: ['/legacy/', '/render/'] }));

await app.register(lido, {
  prefix: '/legacy',
  application: here('flask_app.py:app'),
  python: process.env.PYTHON ?? here('../.venv'),
});

await app.register(lido, { prefix: '/render', application: here('mandelbrot.js'), threads: 2 });

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close());

await app.listen({ port: Number(process.env.PORT ?? 3000) });
