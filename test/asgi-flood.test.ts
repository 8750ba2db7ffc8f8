// ASGI where much happens at once: nothing is lost or changes its order where the rings are full.
import { expect, it } from 'vitest';
import { exchange, get } from './support/raw-client.js';
import { root, startServer, venv } from './support/server.js';

const file = `${root}test/apps/asgi_applications.py`;

/** What test/apps/asgi_applications.py's burst says as the how manieth. */
function burstOf(number: number): string {
  const letters = Array.from({ length: 16 }, (_, block) => String.fromCharCode(97 + ((number + block) % 26)));
  return letters.map((letter) => letter.repeat(20_000)).join('');
}

it('sends more at once than a ring has room for, again and again', async () => {
  const { port } = await startServer({ application: `${file}:burst`, python: venv });
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all(Array.from({ length: 40 }, () => exchange(port, get('/40'))));
    const right = answers.map(
      ({ headers, body }) => body.toString() === burstOf(Number(headers['x-number'])),
    );
    expect(right).toEqual(Array.from({ length: 40 }, () => true));
  }
});
