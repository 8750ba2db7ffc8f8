// Files that an application names by X-Sendfile or X-Accel-Redirect, and the main thread sends: --private-files.
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, runLido } from './support/command.js';
import { exchange, get, RawClient } from './support/raw-client.js';
import { type Language, languages, startServer, venv } from './support/server.js';

/** The query is the head, as in "200 OK|X-Sendfile|/srv/a"; percent-decoded once. `/waits` yields for as long as it is let. */
const applications: Record<Language, string> = {
  javascript: `
    import { threadId } from 'node:worker_threads';
    export function application(environ, startResponse) {
      const [status, ...fields] = decodeURIComponent(environ.QUERY_STRING).split('|');
      const headers = [];
      for (let at = 0; at < fields.length; at += 2)
        headers.push([fields[at], Buffer.from(fields[at + 1]).toString('latin1')]);
      startResponse(status, headers);
      if (environ.PATH_INFO !== '/blocks') return ['not wanted'];
      return (function* () {
        try {
          for (let index = 0; index < 1e6; index += 1) yield 'not wanted'.repeat(1000);
        } finally {
          environ['wsgi.errors'].write('closed\\n');
        }
      })();
    }`,
  python: `
from urllib.parse import unquote_to_bytes

def application(environ, start_response):
    status, *fields = unquote_to_bytes(environ['QUERY_STRING']).decode('latin-1').split('|')
    start_response(status, list(zip(fields[::2], fields[1::2])))
    return blocks(environ['wsgi.errors']) if environ['PATH_INFO'] == '/blocks' else [b'not wanted']

def blocks(errors):
    try:
        for _ in range(1000000):
            yield b'not wanted' * 1000
    finally:
        print('closed', file=errors)
`,
};

const LARGE = Buffer.from(Array.from({ length: 300_000 }, (_, n) => `${n}`.padStart(10, '0')).join(''));

function makeSite(language: Language): string {
  const folder = realpathSync(
    makeFolder({
      [language === 'python' ? 'application.py' : 'application.mjs']: applications[language],
      'files/report é.txt': 'the report',
      'files/100%41.txt': 'percent',
      'files/.key': 'let out on purpose',
      'secret.txt': 'secret',
    }),
  );
  writeFileSync(join(folder, 'files/large.bin'), LARGE);
  mkdirSync(join(folder, 'files/sub'));
  symlinkSync(join(folder, 'secret.txt'), join(folder, 'files/out.txt'));
  symlinkSync(join(folder, 'files/large.bin'), join(folder, 'files/within.bin'));
  return folder;
}

async function serve(language: Language) {
  const folder = makeSite(language);
  const server = await startServer({
    application: join(folder, language === 'python' ? 'application.py' : 'application.mjs'),
    python: venv,
    privateFiles: { '/protected': join(folder, 'files') },
  });
  const target = (head: string, path = '/') => `${path}?${encodeURIComponent(head)}`;
  const ask = (head: string, fields = '', method = 'GET') =>
    exchange(server.port, get(target(head), fields, method), method);
  return { ...server, folder, files: join(folder, 'files'), target, ask };
}

describe.each(languages)('privateFiles, in %s', (language) => {
  it('sends the file that the application names, with its own fields, and the field is gone', async () => {
    const { ask, files } = await serve(language);
    const answer = await ask(
      `200 OK|Content-Type|application/pdf|X-Sendfile|${files}/large.bin|Content-Length|10|ETag|"own"|Set-Cookie|a=b`,
    );
    expect(answer.status).toBe(200);
    expect(answer.body.equals(LARGE)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/pdf',
      'content-length': String(LARGE.length),
      'accept-ranges': 'bytes',
      'set-cookie': 'a=b',
    });
    expect(Object.keys(answer.headers)).not.toContain('x-sendfile');
    expect(answer.rawHeaders.filter(([name]) => /^(etag|content-length)$/i.test(name))).toHaveLength(2);
    expect(answer.headers.etag).not.toBe('"own"');
  });

  it.each([
    ['/protected/report%20%C3%A9.txt', 'the report'],
    ['/protected/100%2541.txt', 'percent'],
    ['/protected/.key', 'let out on purpose'],
  ])('finds %s by X-Accel-Redirect', async (path, text) => {
    const { ask } = await serve(language);
    const answer = await ask(`200 OK|X-Accel-Redirect|${path}`);
    expect([answer.status, answer.body.toString()]).toEqual([200, text]);
  });

  it('finds a file by its name as it is, or encoded', async () => {
    const { ask, files } = await serve(language);
    for (const name of ['report é.txt', 'report%20%C3%A9.txt'])
      expect((await ask(`200 OK|X-Sendfile|${files}/${name}`)).body.toString()).toBe('the report');
    expect((await ask(`200 OK|X-Sendfile|${files}/100%41.txt`)).body.toString()).toBe('percent');
  });

  it('answers ranges and conditions, by GET and by HEAD', async () => {
    const { ask, files } = await serve(language);
    const head = `200 OK|Content-Type|text/plain|X-Sendfile|${files}/large.bin`;
    const whole = await ask(head, '', 'HEAD');
    expect([whole.status, whole.headers['content-length']]).toEqual([200, String(LARGE.length)]);
    const part = await ask(head, 'Range: bytes=1000000-1000019\r\n');
    expect([part.status, part.body.toString()]).toEqual([206, '00001000000000100001']);
    expect(part.headers['content-range']).toBe(`bytes 1000000-1000019/${LARGE.length}`);
    // Flask has looked at the range itself, and leaves the rest to the server.
    const cut = await ask(
      head.replace('200 OK', '206 PARTIAL CONTENT|Content-Range|bytes 1-2/3'),
      'Range: bytes=-10\r\n',
    );
    expect([cut.status, cut.body.toString()]).toEqual([206, '0000299999']);
    const known = await ask(head, `If-None-Match: ${whole.headers.etag}\r\n`);
    expect([known.status, known.body.length]).toEqual([304, 0]);
    expect((await ask(head, `Range: bytes=${LARGE.length}-\r\n`)).status).toBe(416);
  });

  it('keeps another status than 200, and asks for no conditions then', async () => {
    const { ask, files } = await serve(language);
    const answer = await ask(`404 Gone Fishing|X-Sendfile|${files}/.key`, 'If-None-Match: *\r\n');
    expect([answer.status, answer.reason, answer.body.toString()]).toEqual([
      404,
      'Gone Fishing',
      'let out on purpose',
    ]);
  });

  it.each([
    ['X-Sendfile|FOLDER/secret.txt', 500],
    ['X-Sendfile|FOLDER/files/../secret.txt', 500],
    ['X-Sendfile|FOLDER/files/out.txt', 500],
    ['X-Sendfile|/etc/passwd', 500],
    ['X-Sendfile|FOLDER/files', 500],
    ['X-Accel-Redirect|/protected/../secret.txt', 500],
    ['X-Accel-Redirect|/protected/%2e%2e/secret.txt', 500],
    ['X-Accel-Redirect|/protected/out.txt', 500],
    ['X-Accel-Redirect|/elsewhere/large.bin', 500],
    ['X-Accel-Redirect|@fallback', 500],
    ['X-Accel-Redirect|/protected/sub', 404],
    ['X-Accel-Redirect|/protected/none.txt', 404],
    ['X-Sendfile|FOLDER/files/none.txt', 404],
  ])('lets out nothing for %s, and says so in one line', async (field, status) => {
    const { ask, folder, lines } = await serve(language);
    const answer = await ask(`200 OK|${field.replace('FOLDER', folder)}`);
    expect(answer.status).toBe(status);
    expect(answer.body.toString()).not.toContain('secret');
    const said = lines.filter(({ code }) => code === 'LIDO_FILE_NOT_LET_OUT');
    expect(said.map(({ msg }) => msg.slice(0, 29))).toEqual(['the application answered with']);
  });

  it('lets a worker go that answers in blocks', async () => {
    const { port, files, target, ask, findLine } = await serve(language);
    const client = new RawClient(port);
    client.send(get(target(`200 OK|X-Sendfile|${files}/large.bin`, '/blocks')));
    expect((await client.readResponse()).body.equals(LARGE)).toBe(true);
    await findLine(({ msg }) => msg === 'closed');
    expect((await ask(`200 OK|X-Sendfile|${files}/within.bin`)).body.length).toBe(LARGE.length);
  });

  it('is off unless it is asked for', async () => {
    const folder = makeSite(language);
    const file = join(folder, language === 'python' ? 'application.py' : 'application.mjs');
    const { port } = await startServer({ application: file, python: venv });
    const head = `200 OK|X-Sendfile|${folder}/files/.key`;
    const answer = await exchange(port, get(`/?${encodeURIComponent(head)}`));
    expect([answer.headers['x-sendfile'], answer.body.toString()]).toEqual([
      `${folder}/files/.key`,
      'not wanted',
    ]);
  });
});

it('a folder that is not there ends the start', async () => {
  const cwd = makeFolder({ 'application.mjs': applications.javascript });
  const { code, stderr } = await runLido(['application.mjs', '--private-files', '/p=none'], { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain('the folder none for /p cannot be served');
});
