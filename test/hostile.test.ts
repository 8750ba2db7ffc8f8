// What an application does to itself: a 500 that names it, on a worker that goes on.
import { describe, expect, it } from 'vitest';
import { exchange, get } from './support/raw-client.js';
import { type Language, languages, type RunningServer, root, startServer, venv } from './support/server.js';

/** What is answered with 500, and what the log says: the code, and a part of the message. */
const REFUSED: Record<Language, [deed: string, code: string, message: string][]> = {
  javascript: [
    ['raisesWithoutText', 'LIDO_APPLICATION_RAISED', 'Error: hidden'],
    ['raisesWithOddStack', 'LIDO_APPLICATION_RAISED', 'Error: odd'],
    ['raisesProxy', 'LIDO_APPLICATION_RAISED', 'raised object'],
    ['rejectsWithProxy', 'LIDO_APPLICATION_RAISED', 'raised object'],
    ['raisesItsOwnCause', 'LIDO_APPLICATION_RAISED', 'Error: round'],
    ['statusWithoutText', 'LIDO_MALFORMED_STATUS', 'malformed status 200'],
    ['headerWithoutText', 'LIDO_MALFORMED_HEADER', 'malformed header X-A,1'],
    ['headerInItself', 'LIDO_MALFORMED_HEADER', 'malformed header'],
    ['textTooEarly', 'LIDO_RESPONSE_NOT_STARTED', 'did not call start_response'],
    ['undefinedBlock', 'LIDO_BLOCK_NOT_BYTES', 'a block is undefined'],
    ['hole', 'LIDO_BLOCK_NOT_BYTES', 'a block is undefined'],
    ['nothingRead', 'LIDO_BLOCK_NOT_BYTES', 'a block is undefined'],
    ['objectBlock', 'LIDO_BLOCK_NOT_BYTES', 'a block is an Object, not bytes'],
    ['returnsText', 'LIDO_RESULT_NOT_IN_LIST', 'a string, not an iterable of blocks'],
    ['returnsBuffer', 'LIDO_RESULT_NOT_IN_LIST', 'a Buffer, not an iterable of blocks'],
    ['iterationFails', 'LIDO_APPLICATION_RAISED', 'TypeError: of its own'],
    ['closeFailsToo', 'LIDO_APPLICATION_RAISED', 'Error: of its own'],
    ['readsNaN', 'LIDO_APPLICATION_RAISED', 'wsgi.input takes a whole number of bytes, not NaN'],
    ['readsNull', 'LIDO_APPLICATION_RAISED', 'wsgi.input takes a whole number of bytes, not null'],
    ['writesLate', 'LIDO_WRONG_THREAD', 'its request is over'],
    ['startsLate', 'LIDO_RESPONSE_STARTED_TWICE', 'a second time'],
    ['replacesLate', 'LIDO_APPLICATION_RAISED', 'Error: too late'],
  ],
  python: [
    ['raisesWithoutText', 'LIDO_APPLICATION_RAISED', 'Misprinted'],
    ['raisesOddSyntaxError', 'LIDO_APPLICATION_RAISED', 'SyntaxError'],
    ['raisesItsOwnCause', 'LIDO_APPLICATION_RAISED', 'ValueError: round'],
    ['statusWithoutText', 'LIDO_MALFORMED_STATUS', 'malformed status an Unreadable'],
    ['headerWithoutText', 'LIDO_MALFORMED_HEADER', 'malformed header a tuple'],
    ['headersWithoutText', 'LIDO_MALFORMED_HEADER', 'malformed header list: an Unreadable'],
    ['iterationFails', 'LIDO_APPLICATION_RAISED', 'TypeError: of its own'],
    ['iterationIsNone', 'LIDO_APPLICATION_RAISED', 'non-iterator'],
    ['closeFailsToo', 'LIDO_APPLICATION_RAISED', 'ValueError: of its own'],
    ['writesLate', 'LIDO_APPLICATION_RAISED', 'its request is over'],
    ['startsLate', 'LIDO_RESPONSE_STARTED_TWICE', 'a second time'],
    ['replacesLate', 'LIDO_APPLICATION_RAISED', 'ValueError: too late'],
  ],
};

describe.each(languages)('a hostile %s application', (language) => {
  const file = language === 'javascript' ? 'hostile.mjs' : 'hostile.py';
  const serve = () => startServer({ application: `${root}test/apps/${file}:application`, python: venv });
  const ask = ({ port }: RunningServer, deed: string) => exchange(port, get(`/${deed}`));

  it('is told what it did, each time, and its worker goes on', async () => {
    const server = await serve();
    expect((await ask(server, 'keeps')).body.toString()).toBe('kept');
    for (const [deed, code, message] of REFUSED[language]) {
      const seen = server.lines.length;
      expect([deed, (await ask(server, deed)).status]).toEqual([deed, 500]);
      const line = server.lines.slice(seen).find((found) => found.code !== undefined);
      expect([deed, line?.code, line?.msg]).toEqual([deed, code, expect.stringContaining(message)]);
    }
    expect(server.lines.filter(({ code }) => code === 'LIDO_WORKER_DIED')).toEqual([]);
  });

  it('cannot slip a header past the check by changing it', async () => {
    const { status, rawHeaders } = await ask(await serve(), 'changingHeader');
    expect(status).toBe(200);
    expect(rawHeaders.map(([name]) => name)).not.toContain('X-Injected');
  });

  it('gets a length for its body though a value of its headers reads like one', async () => {
    expect((await ask(await serve(), 'namesLengthInValue')).headers['content-length']).toBe('400000');
  });
});

describe('a hostile Python application', () => {
  it('may send bytes of a class that lies about them: what they hold is sent', async () => {
    const server = await startServer({
      application: `${root}test/apps/hostile.py:application`,
      python: venv,
    });
    for (const deed of ['boastingBlock', 'boastingBlocks']) {
      expect((await exchange(server.port, get(`/${deed}`))).body.toString()).toBe('body');
    }
  });
});
