// What Piscina does for a session, without Piscina.
import { workerData } from 'node:worker_threads';
import serve from '../../dist/workers/main.js';

await serve(workerData);
