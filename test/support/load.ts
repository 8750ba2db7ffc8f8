// Load beside a fault: what it counts was served in spite of it.
import { expect } from 'vitest';
import { exchange, get } from './raw-client.js';
import type { RunningServer } from './server.js';

/** Requests that come all the while; resolves with how many there were, all of them answered as they should be. */
export function load(port: number, answer = 'hello'): { stop(): Promise<number> } {
  let over = false;
  let count = 0;
  const client = async () => {
    while (!over) {
      const { status, body } = await exchange(port, get('/'));
      expect([status, body.toString()]).toEqual([200, answer]);
      count += 1;
    }
  };
  const clients = Array.from({ length: 4 }, client);
  return {
    stop: async () => {
      over = true;
      await Promise.all(clients);
      return count;
    },
  };
}

/** Resolves once as many workers are there as at the start. */
export async function untilWhole({ server }: RunningServer): Promise<void> {
  while (server.stats()[0]?.workers !== 2) await new Promise(setImmediate);
}
