/** What a server costs while it does nothing: its memory a second after the first answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { listTree, readPss } from './processes.mjs';

export async function rest(server) {
  await sleep(1000);
  return {
    requests: 1,
    rate: 1000 / server.startMs,
    startMs: server.startMs,
    restBytes: readPss(server.pid),
    processes: listTree(server.pid).length,
    errors: 0,
  };
}
