import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MAX_BLOCK, RESPONSE_WINDOW } from '../dist/src/contract/protocol.js';
import { readManner } from '../dist/src/dispatch/manners.js';
import { makeFolder } from './support/command.js';
import {
  type Answer,
  type ApplicationRequest,
  findPythons,
  openPython,
  type PythonProcess,
} from './support/python-process.js';

const pythons = findPythons();
const TEXT = [['Content-Type', 'text/plain']];

it('finds a Python to test with', () => {
  expect(pythons).not.toEqual([]);
});

describe.each(pythons)('the gateway on Python %s', (_version, interpreter) => {
  let python: PythonProcess;
  let lastId = 0;

  beforeAll(async () => {
    python = await openPython(interpreter, 'gateway_cases', 'by_path');
  });
  afterAll(() => python[Symbol.asyncDispose]());

  function ask(name: string, details: ApplicationRequest = {}): Promise<Answer> {
    lastId += 1;
    return python.request(lastId, { ...details, environ: { PATH_INFO: `/${name}`, ...details.environ } });
  }

  async function countClosed(): Promise<string> {
    return (await ask('count_closed')).blocks.join('');
  }

  it.each(['one_block', 'tuple_of_one'])('sends %s in one message', async (name) => {
    const answer = await ask(name);
    expect(answer).toMatchObject({ status: '200 OK', headers: TEXT, blocks: ['hello'], kinds: ['response'] });
  });

  it('says of a request that it computed, or that it waited, and for how long', async () => {
    // Of quick requests only some are measured: the first that takes longer sees to it that the next one is.
    await ask('computes');
    await ask('computes');
    const computed = readManner(await python.manner());
    expect(computed?.busy).toBeGreaterThan(0.8);
    expect(computed?.computeMs).toBeGreaterThan(4);
    await ask('waits');
    const waited = readManner(await python.manner());
    expect(waited?.busy).toBeLessThan(0.2);
    expect(waited?.computeMs).toBeLessThan(4);
  });

  it('sends an empty body in one message', async () => {
    expect(await ask('empty_list')).toMatchObject({
      status: '204 No Content',
      blocks: [''],
      kinds: ['response'],
    });
  });

  it('sends each block that is not empty', async () => {
    expect(await ask('two_blocks')).toMatchObject({
      blocks: ['one', 'two'],
      kinds: ['head', 'block', 'end'],
    });
    expect(await ask('generator')).toMatchObject({ blocks: ['one', 'two'], kinds: ['head', 'block', 'end'] });
  });

  it('lets start_response wait for the first block that is not empty', async () => {
    expect(await ask('lazy')).toMatchObject({ status: '201 Created', blocks: ['late'], end: 'end' });
  });

  it('sends what write() is given before the iterable', async () => {
    expect(await ask('writer')).toMatchObject({ blocks: ['written ', 'returned'], end: 'end' });
  });

  it('sends large blocks byte for byte, in pieces', async () => {
    const pattern = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
      .toString('latin1')
      .repeat(4096);
    const first = await ask('large_first_block');
    expect(first.blocks.join('') === `${pattern}end`).toBe(true);
    const whole = await ask('large_one_block');
    expect(whole.headers).toEqual([...TEXT, ['Content-Length', '1048576']]);
    expect(whole.blocks.join('') === pattern).toBe(true);
    expect((await ask('large_not_modified')).headers).toEqual([]);
  });

  it('keeps blocks of every size whole', async () => {
    const sizes = [1, 16384, 16385, 131071, 131072, 131073, 262145];
    const expected = sizes.map((size) => String.fromCharCode(size % 251).repeat(size)).join('');
    expect((await ask('all_sizes')).blocks.join('') === expected).toBe(true);
  });

  it.each([
    ['no_start_response', 'LIDO_RESPONSE_NOT_STARTED'],
    ['no_start_response_nor_body', 'LIDO_RESPONSE_NOT_STARTED'],
    ['second_start_response', 'LIDO_RESPONSE_STARTED_TWICE'],
    ['text_block', 'LIDO_BLOCK_NOT_BYTES'],
    ['bytearray_block', 'LIDO_BLOCK_NOT_BYTES'],
    ['returns_none', 'LIDO_RESULT_NOT_ITERABLE'],
    ['returns_bytes', 'LIDO_RESULT_NOT_IN_LIST'],
    ['returns_text', 'LIDO_RESULT_NOT_IN_LIST'],
    ['raises', 'LIDO_APPLICATION_RAISED'],
    ['leaves', 'LIDO_APPLICATION_RAISED'],
    ['interrupts', 'LIDO_APPLICATION_RAISED'],
  ])('ends %s with %s before the head', async (name, code) => {
    const answer = await ask(name);
    expect(answer).toMatchObject({ kinds: ['fail'], error: { code } });
  });

  it('says what to write where the body is not in a list', async () => {
    const remedy = async (name: string) => (await ask(name)).error?.remedy;
    expect(await remedy('returns_text')).toBe('return a list: return [text.encode("utf-8")]');
    expect(await remedy('returns_bytes')).toBe('return a list: return [body]');
  });

  it('names the rule where the application broke it, without frames of its own', async () => {
    const { error } = await ask('second_start_response');
    expect(error?.traceback).toContain('start_response("404 Not Found", TEXT)');
    expect(error?.traceback).toContain(
      'LIDO_RESPONSE_STARTED_TWICE: start_response was called a second time without exc_info',
    );
    expect(error?.traceback).not.toContain('workers/python');
    expect((await ask('raises')).error?.message).toBe('the application raised ValueError: broken €');
  });

  it.each([
    ["('200', 'X-A', 'b')", 'LIDO_MALFORMED_STATUS'],
    ["('200 ', 'X-A', 'b')", 'LIDO_MALFORMED_STATUS'],
    ["('199 No', 'X-A', 'b')", 'LIDO_MALFORMED_STATUS'],
    ["('200 OK\\n', 'X-A', 'b')", 'LIDO_MALFORMED_STATUS'],
    ["(b'200 OK', 'X-A', 'b')", 'LIDO_MALFORMED_STATUS'],
    ["('200 OK', 'X A', 'b')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', 'X-A', 'b\\r\\nX-Evil: 1')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', 'X-A', 'b\\n')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', 'X-A', 'b\\0')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', 'X-A', '\\u20ac')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', 'X-A', b'b')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', '', 'b')", 'LIDO_MALFORMED_HEADER'],
    ["('200 OK', 'Transfer-Encoding', 'chunked')", 'LIDO_HOP_BY_HOP_HEADER'],
    ["('200 OK', 'Content-Length', '-1')", 'LIDO_MALFORMED_CONTENT_LENGTH'],
    ["('200 OK', 'Content-Length', '1_0')", 'LIDO_MALFORMED_CONTENT_LENGTH'],
  ])('refuses the head %s with %s, each time', async (head, code) => {
    for (const attempt of [1, 2]) {
      const answer = await ask('bad_head', { environ: { QUERY_STRING: head } });
      expect([attempt, answer.error?.code]).toEqual([attempt, code]);
    }
  });

  it.each([
    ["(('X-A', 'b'),)", 'LIDO_MALFORMED_HEADER'],
    ["['ab']", 'LIDO_MALFORMED_HEADER'],
    ["[('a', 'b', 'c')]", 'LIDO_MALFORMED_HEADER'],
    ["[('Content-Length', '1'), ('content-length', '1')]", 'LIDO_MALFORMED_CONTENT_LENGTH'],
  ])('refuses the headers %s with %s', async (headers, code) => {
    expect((await ask('odd_headers', { environ: { QUERY_STRING: headers } })).error?.code).toBe(code);
  });

  it('replaces a head that was not sent, and re-raises exc_info afterwards', async () => {
    expect(await ask('replaced_head')).toMatchObject({
      status: '500 Oops',
      blocks: ['sorry'],
      end: 'response',
    });
    const late = await ask('late_exc_info');
    expect(late).toMatchObject({ status: '200 OK', kinds: ['head', 'fail'], blocks: ['part'] });
    expect(late.error?.message).toBe('the application raised ValueError: late');
  });

  it('closes the iterable exactly once, whatever happens', async () => {
    await countClosed();
    await ask('closes');
    expect(await countClosed()).toBe('1');
    expect(await ask('raises_midway')).toMatchObject({ kinds: ['head', 'fail'] });
    expect(await countClosed()).toBe('1');
    const failing = await ask('close_fails');
    expect(failing).toMatchObject({ blocks: ['whole'], end: 'end' });
    expect(failing.log.join('\n')).toContain('RuntimeError: in close');
    expect(await countClosed()).toBe('1');
    expect(await ask('endless', { goneAfter: 3 })).toMatchObject({ end: 'end' });
    expect(await countClosed()).toBe('1');
  });

  it('waits for a client that takes nothing, and stops when it is gone', async () => {
    const id = lastId + 1;
    const before = python.events.length;
    const blocks = () => python.events.slice(before).filter(([kind]) => kind === 'head' || kind === 'block');
    const answer = ask('endless', { holdAcks: true });
    await python.until(() => blocks().length >= RESPONSE_WINDOW / 65536);
    await python.gone(id);
    const { blocks: sent } = await answer;
    expect(sent.join('').length).toBeLessThan(RESPONSE_WINDOW + MAX_BLOCK);
    expect(await countClosed()).toBe('1');
  });

  it('reads a body that came with the request, and one that comes in chunks', async () => {
    expect((await ask('echo', { body: 'caf\u00e9\0' })).blocks).toEqual(['caf\u00e9\0']);
    const chunks = Array.from({ length: 20 }, (_, index) => Buffer.alloc(65537 + index, index));
    const echoed = await ask('echo', { body: null, chunks });
    expect(echoed.blocks.join('') === Buffer.concat(chunks).toString('latin1')).toBe(true);
    const large = [Buffer.alloc(1_000_000, 'x')];
    expect((await ask('echo', { body: null, chunks: large })).blocks.join('').length).toBe(1_000_000);
  });

  it('reads lines and sizes the same way from both', async () => {
    const text = 'one\ntwo\nthree\nfour\nfive\nsix';
    const expected = "[b'one\\n', b'tw', b'o\\nt', [b'hree\\n'], [b'four\\n', b'five\\n', b'six'], b'']";
    expect((await ask('lines', { body: text })).blocks).toEqual([expected]);
    const chunks = [...text].map((character) => Buffer.from(character));
    expect((await ask('lines', { body: null, chunks })).blocks).toEqual([expected]);
  });

  it('reads a body that lies in a file, and closes its own descriptor of it', async () => {
    const body = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
    const text = 'one\ntwo\nthree\nfour\nfive\nsix';
    const folder = makeFolder({ body: '', lines: text });
    const file = join(folder, 'body');
    writeFileSync(file, body);
    const echoed = await ask('echo', { file });
    expect(echoed.blocks.join('') === body.toString('latin1')).toBe(true);
    expect(echoed.kinds[0]).toBe('credit');
    const lines = join(folder, 'lines');
    const expected = "[b'one\\n', b'tw', b'o\\nt', [b'hree\\n'], [b'four\\n', b'five\\n', b'six'], b'']";
    expect((await ask('lines', { file: lines })).blocks).toEqual([expected]);
    expect((await ask('keeps_its_input', { file: lines })).blocks).toEqual([text]);
    await vi.waitUntil(async () => (await python.descriptors(lines)) === 0);
    expect((await ask('reads_kept_input')).blocks).toEqual(['ValueError']);
    expect((await ask('raises_after_reading', { file: lines })).end).toBe('fail');
    await vi.waitUntil(async () => (await python.descriptors(lines)) === 0);
  });

  it('does not read a file of which the main thread has taken its hand: the number may be another one by then', async () => {
    const file = join(makeFolder({ another: "another client's" }), 'another');
    const answer = await ask('catches_client_gone', { file, isGone: true, chunks: ['gone'] });
    expect([answer.log, answer.blocks]).toEqual([['caught ClientGone'], ['']]);
  });

  it('asks for the body in chunks where it cannot open the file', async () => {
    const echoed = await ask('echo', { file: -1, chunks: [Buffer.from('in chunks')] });
    expect([echoed.kinds[0], echoed.blocks]).toEqual(['read', ['in chunks']]);
  });

  it('tells an application that reads that the client is gone', async () => {
    const answer = await ask('catches_client_gone', { body: null, chunks: [Buffer.from('part'), 'gone'] });
    expect(answer.log).toEqual(['caught ClientGone']);
  });

  it('logs wsgi.errors line by line, and shows what is printed at once', async () => {
    expect((await ask('logs')).log).toEqual(['first', 'second', '€']);
    await python.until(() => python.stdout.includes('printed\n'));
  });

  it('hands over a true dict with the values that PEP 3333 names', async () => {
    const answer = await ask('shows_environ', { environ: { HTTP_X: '\u00ff' } });
    expect(answer.blocks.join('')).toBe(
      "[(1, 0), True, False, False, True, 'lido/test', '/shows_environ', '\u00ff']",
    );
  });

  it('grows its buffer for a large environ', async () => {
    const value = 'v'.repeat(300_000);
    const answer = await ask('shows_environ', { environ: { HTTP_X: value } });
    expect(answer.blocks.join('')).toContain(`'${value}'`);
    expect((await ask('one_block')).blocks).toEqual(['hello']);
  });

  it('sends a file by blocks and closes it', async () => {
    const answer = await ask('file');
    expect(answer.blocks.join('')).toContain('Tiny applications named by behaviour');
    expect(answer.blocks[0]?.length).toBe(100);
  });

  it('refuses write() in another thread, and after its request', async () => {
    const foreign = (await ask('foreign_thread')).blocks.join('');
    expect(foreign).toContain('LIDO_WRONG_THREAD');
    expect(foreign).not.toContain(';');
    await python.until(() => python.stderr.includes('to stderr'));
    await ask('keeps_write');
    expect((await ask('keeps_write')).blocks.join('')).toContain('its request is over');
  });

  it('survives recursion to the limit, in Python and in C', async () => {
    expect((await ask('deep')).blocks).toEqual(['surfaced']);
  });

  it('runs several workers at once, each on a thread of its own', async () => {
    await python.open({ module: 'gateway_cases', callable: 'by_path' }, { session: 2 });
    const environ = { PATH_INFO: '/thread_identity' };
    const [one, two] = await Promise.all([
      python.request(900_001, { environ }),
      python.request(900_002, { environ }, 2),
    ]);
    expect(one.blocks).not.toEqual(two.blocks);
    await python.close(2);
    expect((await ask('one_block')).blocks).toEqual(['hello']);
  });
});
