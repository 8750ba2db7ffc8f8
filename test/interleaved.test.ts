// Many clients whose requests come in pieces, one piece of each in turn: all are read into the same memory, and nobody gets another's bytes.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { lull } from '../dist/src/http/wire/lull.js';
import { makeFolder } from './support/command.js';
import { get, RawClient } from './support/raw-client.js';
import { startServer } from './support/server.js';

const APPLICATION = `
export function application(environ, startResponse) {
  const body = Buffer.from(environ['wsgi.input'].read()).toString('latin1');
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [Buffer.from([environ.PATH_INFO, environ.HTTP_X_MARK, body].join(' '), 'latin1')];
}
`;
const CLIENTS = 20;

/** A client's letter, and the requests in which it says nothing else. */
function writeRequests(number: number) {
  const letter = String.fromCharCode('a'.charCodeAt(0) + number);
  const say = (length: number) => letter.repeat(length);
  const path = `/${say(5 + number)}`;
  const mark = say(40 + 3 * number);
  const field = `X-Mark: ${mark}\r\n`;
  const [counted, first, second] = [say(900 + 61 * number), say(3 + number), say(700)];
  const chunks = [first, second].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  return {
    text: [
      `${get(path, `${field}Content-Length: ${counted.length}\r\n`, 'POST')}${counted}`,
      `${get(path, `${field}Transfer-Encoding: chunked\r\n`, 'POST')}${chunks}0\r\n\r\n`,
      get(path, field),
    ].join(''),
    answers: [counted, first + second, ''].map((body) => `${path} ${mark} ${body}`),
  };
}

/** Pieces of one byte and of some hundreds, the same ones in each run. */
function cut(text: string, seed: number): string[] {
  const pieces: string[] = [];
  let state = seed + 1;
  for (let start = 0; start < text.length; ) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const length = (state >>> 16) % 5 === 0 ? 1 : 1 + ((state >>> 8) % 400);
    pieces.push(text.slice(start, start + length));
    start += length;
  }
  return pieces;
}

describe('clients whose pieces come in turn', () => {
  afterEach(() => {
    lull.end();
    vi.restoreAllMocks();
  });

  it.each(['as they come', 'in a lull first'])('get answers of nothing but their own: %s', async (when) => {
    const folder = makeFolder({ 'who.mjs': APPLICATION });
    const { port } = await startServer({ application: `${folder}/who.mjs:application` });
    const probe = new RawClient(port);
    const ask = async (client: RawClient) => {
      client.send(get('/probe', 'X-Mark: probe\r\n'));
      expect((await client.readResponse()).body.toString()).toBe('/probe probe ');
    };
    const parties = Array.from({ length: CLIENTS }, (_, number) => {
      const { text, answers } = writeRequests(number);
      return { client: new RawClient(port), pieces: cut(text, number), answers };
    });
    for (const { client } of [{ client: probe }, ...parties]) await ask(client);
    if (when === 'in a lull first') {
      const keep = vi.spyOn(lull, 'keep');
      lull.begin(60_000);
      for (const { client, pieces } of parties) client.send(pieces.shift() ?? '');
      await vi.waitFor(() => expect(keep).toHaveBeenCalledTimes(CLIENTS));
      lull.end();
    }
    while (parties.some(({ pieces }) => pieces.length > 0)) {
      for (const { client, pieces } of parties) client.send(pieces.shift() ?? '');
      // Once this is answered, what was sent before it has been read.
      await ask(probe);
    }
    for (const { client, answers } of parties)
      for (const answer of answers)
        expect((await client.readResponse()).body.toString('latin1')).toBe(answer);
  });
});
