// Blocks that an application sends one by one, with pauses between them: each reaches its client before the next is made.
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { startServer, venv } from './support/server.js';

const EVENTS = 6;

/** An event is followed by the next one when the file of its number is there; after a while it is said to be late. */
const APPLICATION = `import os, time

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/event-stream')])
    return events(os.path.dirname(__file__)) if environ['PATH_INFO'] == '/events' else [b'quick']

def events(folder):
    # Longer than what is queued behind it may wait.
    time.sleep(0.05)
    for number in range(${EVENTS}):
        yield b'event %d;' % number
        limit = time.monotonic() + 5
        while not os.path.exists(f'{folder}/{number}'):
            if time.monotonic() > limit:
                yield b'late;'
                break
            time.sleep(0.005)
    yield b'end'
`;

it('flow although requests lie in the ring that were recalled from behind them', async () => {
  const folder = makeFolder({ 'events.py': APPLICATION });
  const { port } = await startServer({ application: `${folder}/events.py`, python: venv });
  // So that the worker knows how quick it is.
  const quick = new RawClient(port);
  for (let count = 0; count < 100; count += 1) {
    quick.send(get('/'));
    await quick.readResponse();
  }
  const client = new RawClient(port);
  client.send(get('/events'));
  const others = Promise.allSettled(Array.from({ length: 12 }, () => exchange(port, get('/'))));
  let said = '';
  for (let number = 0; number < EVENTS; number += 1) {
    said += await client.readUntil(`event ${number};`);
    writeFileSync(`${folder}/${number}`, '');
  }
  said += await client.readUntil('end');
  expect(said).not.toContain('late');
  for (const { status } of await others) expect(status).toBe('fulfilled');
});
