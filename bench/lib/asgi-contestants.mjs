/** Who takes part in the scenarios of ASGI. */
import { CORES, enter } from './contestants.mjs';

/** With one process and with one for each core. */
export const asgiContestants = [
  enter('Lido'),
  enter('Lido', { processes: CORES }),
  enter('uvicorn'),
  enter('uvicorn', { processes: CORES }),
  enter('granian ASGI'),
  enter('granian ASGI', { processes: CORES }),
  enter('hypercorn'),
];

/**
 * For thousands of clients that stay. Lido runs a thousand requests at once in a loop, and granian takes as many connections, unless
 * they are told otherwise. A stream whose client has left keeps its place until it has something to send: those of the warm-up are
 * still there.
 */
export const asgiContestantsForMany = [
  enter('Lido', { options: ['--concurrency', '16000'] }),
  enter('uvicorn'),
  enter('granian ASGI', { options: ['--backlog', '8000', '--backpressure', '8000'] }),
  enter('hypercorn'),
];
