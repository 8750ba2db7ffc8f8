// ASGI where much happens at once: nothing is lost or changes its order where the rings are full.
import { describe, expect, it } from 'vitest';
import type { UserSettings } from '../dist/src/settings/resolve.js';
import { exchange, get } from './support/raw-client.js';
import { root, startServer, venv } from './support/server.js';
import { openWebSocket } from './support/websocket.js';

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

describe('a wake-up is never lost: nothing else would wake anybody, and the echo would stop for good', () => {
  const NO_TIMERS = { timeout: 0, websocketPingInterval: 0, keepalive: 0, headerTimeout: 0, sendTimeout: 0 };

  async function serveEcho(loop: string): Promise<string> {
    const application = `${root}test/apps/websockets.py:application`;
    const { url } = await startServer({ application, python: venv, loop, ...NO_TIMERS } as UserSettings);
    return `${url.replace('http', 'ws')}/echo?flood`;
  }

  /** Sends so many messages of this length, with so many of them under way at once; resolves once all have come back. */
  async function talk(url: string, count: number, length: number, underWay: number): Promise<void> {
    const { socket, opened, closed } = openWebSocket(url);
    await opened;
    const message = Buffer.alloc(length, 'abcdefgh');
    let sent = 0;
    let heard = 0;
    const send = () => {
      if (sent === count) return;
      sent += 1;
      socket.send(message);
    };
    socket.on('message', (data: Buffer) => {
      expect(data.length).toBe(length);
      heard += 1;
      if (heard === count) socket.close();
      else send();
    });
    for (let index = 0; index < underWay; index += 1) send();
    await closed;
    expect(heard).toBe(count);
  }

  describe.each(['uvloop', 'asyncio'])('%s', (loop) => {
    it.each([
      [1, 3000, 1, 1],
      [2, 100, 262_144, 4],
      [32, 100, 1000, 40],
      [200, 10, 5000, 3],
      // Both rings are full at once: each side waits for room that the other makes.
      [100, 3, 262_144, 2],
    ])('%d clients, %d messages each of %d bytes, %d under way', async (clients, count, length, underWay) => {
      const url = await serveEcho(loop);
      await Promise.all(Array.from({ length: clients }, () => talk(url, count, length, underWay)));
    });
  });
});

describe('clients by the hundred', () => {
  it('who all go at once leave nothing behind', async () => {
    const { server, port, url } = await startServer({
      application: `${root}test/apps/websockets.py:application`,
      python: venv,
    });
    const sent = () => server.stats()[0]?.sent;
    const clients = Array.from({ length: 300 }, () =>
      openWebSocket(`${url.replace('http', 'ws')}/echo?storm`),
    );
    await Promise.all(clients.map(({ opened }) => opened));
    expect(sent()).toBe(300);
    for (const { socket } of clients) socket.terminate();
    await expect.poll(sent, { timeout: 20_000 }).toBe(0);
    const { body } = await exchange(port, get('/events?storm'));
    const codes = (JSON.parse(body.toString()) as unknown[][]).map(([kind, code]) => `${kind} ${code}`);
    expect(codes).toEqual(Array.from({ length: 300 }, () => 'disconnect 1006'));
  });

  it('are all told when the server ends, and it does', async () => {
    const { server, url } = await startServer({
      application: `${root}test/apps/websockets.py:application`,
      python: venv,
    });
    const clients = Array.from({ length: 300 }, () => openWebSocket(`${url.replace('http', 'ws')}/echo?end`));
    await Promise.all(clients.map(({ opened }) => opened));
    const [codes] = await Promise.all([Promise.all(clients.map(({ closed }) => closed)), server.close()]);
    expect(codes).toEqual(Array.from({ length: 300 }, () => [1001, '']));
  });
});
