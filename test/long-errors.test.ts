// What goes wrong with more to tell than a ring has room for in one piece: it is cut, and nobody waits for it.
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { exchange, get } from './support/raw-client.js';
import { startServer, venv } from './support/server.js';

/** JSON's escape of one takes twelve bytes. */
const SAID = '\u{1f3ca}'.repeat(120_000);
/** So that the ring is not at its start, where a longer record fits. Bytes. */
const BEFORE = 700_000;

const applications = {
  wsgi: `
def application(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("${SAID}")
    start_response("200 OK", [])
    return [b"x" * ${BEFORE}]
`,
  asgi: `
async def application(scope, receive, send):
    if scope["path"] == "/raise":
        raise ValueError("${SAID}")
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"x" * ${BEFORE}})
`,
};

it.each(Object.entries(applications))('is told, and costs no other request: %s', async (_, text) => {
  const cwd = makeFolder({ 'long.py': text });
  const { port, findLine } = await startServer({ application: `${cwd}/long.py`, python: venv, chdir: cwd });
  for (let round = 0; round < 3; round += 1) {
    expect((await exchange(port, get('/'))).body.length).toBe(BEFORE);
    expect((await exchange(port, get('/raise'))).status).toBe(500);
  }
  const { traceback, msg } = await findLine(({ code }) => code === 'LIDO_APPLICATION_RAISED');
  expect(msg).toContain(`ValueError: ${SAID.slice(0, 2000)}`);
  expect(traceback).toContain(SAID.slice(0, 2000));
});
