import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, APPS, findPythons, openPython, type PythonProcess } from './support/python-process.js';

const run = promisify(execFile);
const MODULES = fileURLToPath(new URL('../dist/workers/python', import.meta.url));

describe.each(findPythons())('an interrupt on Python %s', (_version, interpreter) => {
  let python: PythonProcess;
  let lastId = 0;

  beforeAll(async () => {
    python = await openPython(interpreter, 'gateway_cases', 'by_path');
  });
  afterAll(() => python[Symbol.asyncDispose]());

  function ask(name: string, query = ''): Promise<Answer> {
    lastId += 1;
    return python.request(lastId, { environ: { PATH_INFO: `/${name}`, QUERY_STRING: query } });
  }

  function logged(id: number): Promise<void> {
    return python.until(() => python.events.some(([kind, target]) => kind === 'log' && target === id));
  }

  it('ends an endless loop, and tells where it stood', async () => {
    const answer = ask('spins');
    await logged(lastId);
    const stack = await python.interrupt(lastId);
    expect(stack).toContain('in spins');
    expect(stack).not.toContain('workers/python');
    expect(await answer).toMatchObject({ end: 'fail', error: { code: 'LIDO_TIMED_OUT' } });
    expect((await ask('one_block')).blocks).toEqual(['hello']);
  });

  it('ends a loop in close(), after the body', async () => {
    const answer = ask('spins_in_close');
    await logged(lastId);
    await python.interrupt(lastId);
    expect(await answer).toMatchObject({
      blocks: ['whole', '!'],
      end: 'fail',
      error: { code: 'LIDO_TIMED_OUT' },
    });
  });

  it('may come again when the application swallowed it', async () => {
    const answer = ask('swallows_once');
    await logged(lastId);
    const count = () => python.events.filter(([kind, id]) => kind === 'log' && id === lastId).length;
    await python.interrupt(lastId);
    await python.until(() => count() === 2);
    await python.interrupt(lastId);
    expect(await answer).toMatchObject({ end: 'fail' });
  });

  it('leaves other requests alone: one that is over, and none', async () => {
    await ask('one_block');
    expect(await python.interrupt(lastId)).toBe('');
    expect(await python.interrupt(lastId + 1)).toBe('');
    expect((await ask('one_block')).blocks).toEqual(['hello']);
  });

  it('never hits the next request, however close it comes to the end', async () => {
    await ask('count_closed');
    const outcomes = { end: 0, fail: 0 };
    let closed = 0;
    for (let round = 0; round < 150; round += 1) {
      const answer = ask('spins_for_a_while', String((round % 30) * 0.0004));
      const id = lastId;
      await logged(id);
      const interrupted = python.interrupt(id);
      const { end } = await answer;
      outcomes[end as 'end' | 'fail'] += 1;
      const next = await ask('count_closed');
      expect(next).toMatchObject({ end: 'response' });
      closed += Number(next.blocks[0]);
      await interrupted;
    }
    expect(outcomes.end + outcomes.fail).toBe(150);
    // What the application returned was closed each time; it may not have returned when it was interrupted.
    expect(closed).toBeGreaterThanOrEqual(outcomes.end);
  }, 60_000);

  it('is awaited by an application that returns while it is raised', async () => {
    const { stdout } = await run(interpreter, [join(APPS, 'interrupt_meets_return.py'), MODULES]);
    expect(stdout.trim()).toBe('the next request was left alone');
  });
});
