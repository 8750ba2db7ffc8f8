// Serves a probe with Lido in this process, asks for it once, and prints the answer: node inside.mjs PYTHON PROBE
import { fileURLToPath } from 'node:url';
import { createServer } from '../../dist/src/index.js';

const [, , python, probe] = process.argv;
const application = fileURLToPath(new URL('./probes.py:application', import.meta.url));
const server = createServer({ application, python, bind: '127.0.0.1:0', logLevel: 'fatal', timeout: 60 });
await server.listen();
const response = await fetch(`${server.addresses[0]}/?${probe}`);
process.stdout.write(await response.text());
process.exit(response.status === 200 ? 0 : 1);
