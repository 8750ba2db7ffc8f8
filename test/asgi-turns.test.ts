// ASGI: what is said in one turn of the loop does not wait for what takes long behind it.
import { existsSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { startServer, venv } from './support/server.js';

/** `/holds` keeps the loop until there is the file `go`; of the others the first computes, and the second until the first is answered. */
const APPLICATION = `import os, time

folder = os.path.dirname(__file__)
count = 0

def keep_loop(name):
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        if os.path.exists(f'{folder}/{name}'):
            return b'in time'
        time.sleep(0.005)
    return b'late'

async def application(scope, receive, send):
    global count
    assert scope['type'] == 'http'
    if scope['path'] == '/holds':
        open(f'{folder}/holds', 'w').close()
        said = keep_loop('go')
    else:
        count += 1
        said = b'first' if count == 1 else keep_loop('answered')
        time.sleep(0.02)
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': said})
`;

it('has its answers on their way one after the other, where each computes for long', async () => {
  const folder = makeFolder({ 'turns.py': APPLICATION });
  const { port } = await startServer({ application: `${folder}/turns.py`, python: venv });
  const holds = exchange(port, get('/holds'));
  await expect.poll(() => existsSync(`${folder}/holds`)).toBe(true);
  const clients = [new RawClient(port), new RawClient(port)];
  const answers = clients.map(async (client) => {
    client.send(get('/'));
    const { body } = await client.readResponse();
    writeFileSync(`${folder}/answered`, '');
    return body.toString();
  });
  // The main thread alone answers this, and has read the others by then.
  expect((await exchange(port, 'NONSENSE\r\n\r\n')).status).toBe(400);
  writeFileSync(`${folder}/go`, '');
  expect((await Promise.all(answers)).sort()).toEqual(['first', 'in time']);
  expect((await holds).body.toString()).toBe('in time');
});
