import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AT_BELL, OUTSIDE } from '../dist/src/contract/protocol.js';
import { makeFolder } from './support/command.js';
import { findPythons, openPython } from './support/python-process.js';

/** As many to warm up: the heaps have reached their size by then. */
const CALLS = 30_000;
/** Well below one leaked environ a call, well above the noise of two garbage collectors. Bytes. */
const NOISE = 24 * 1024 * 1024;

describe.each(findPythons())('a process with Python %s', (_version, interpreter) => {
  it('lets the application fork, run commands and keep threads, and ends cleanly all the same', async () => {
    await using python = await openPython(interpreter, 'uses_the_system');
    const { blocks, error } = await python.request(1);
    expect(error).toBe(null);
    expect(blocks).toEqual(["[b'said\\n', 3, 'not in this thread', [2, 4], (1,), 'behind']"]);
    python.exit(5);
    expect(await python.exited).toBe(5);
    expect(python.stderr).toBe('');
  }, 15_000);

  it('wakes its worker at its bell, and outside of Python where nothing has come for a while', async () => {
    await using python = await openPython(interpreter, 'gateway_cases', 'by_path');
    const request = { environ: { PATH_INFO: '/one_block' } };
    for (const id of [1, 3]) {
      await expect.poll(() => python.place(), { timeout: 10_000 }).toBe(OUTSIDE);
      expect((await python.request(id, request)).error).toBe(null);
      expect((await python.request(id + 1, request)).error).toBe(null);
    }
    await python.close();
  }, 30_000);

  it('has a worker say that it has the GIL as soon as it is asked to, wherever it sleeps', async () => {
    await using python = await openPython(interpreter, 'gateway_cases', 'by_path');
    for (const place of [OUTSIDE, AT_BELL]) {
      await expect.poll(() => python.place(), { timeout: 10_000 }).toBe(place);
      await python.askForGil();
      await expect.poll(() => python.hasHadGil(), { timeout: 10_000 }).toBe(true);
    }
    await python.close();
  }, 30_000);

  it('has a worker that is asked find out whether another one holds the GIL', async () => {
    await using python = await openPython(interpreter, 'gateway_cases', 'by_path');
    await python.open({ module: 'gateway_cases', callable: 'by_path' }, { session: 2 });
    const countFree = async () => {
      let free = 0;
      for (let look = 0; look < 8; look += 1) {
        await python.askForGil();
        await expect.poll(() => python.hasHadGil(), { timeout: 10_000, interval: 5 }).toBe(true);
        free += Number(await python.foundGilFree());
      }
      return free;
    };
    expect(await countFree()).toBeGreaterThan(4);
    const folder = makeFolder({});
    const environ = { PATH_INFO: '/computes_until', QUERY_STRING: join(folder, 'over') };
    const computes = python.request(1, { environ }, 2);
    await expect.poll(() => existsSync(join(folder, 'begun'))).toBe(true);
    const free = await countFree();
    writeFileSync(join(folder, 'over'), '');
    expect((await computes).error).toBe(null);
    expect(free).toBeLessThan(4);
    await python.close();
    await python.close(2);
  }, 30_000);

  it('keeps its memory flat over many calls', async () => {
    await using python = await openPython(interpreter, 'gateway_cases', 'by_path');
    const environ = { PATH_INFO: '/one_block', HTTP_COOKIE: 'c'.repeat(2000) };
    const { before, after } = await python.repeat(CALLS, { warmUp: CALLS, environ });
    expect(after - before).toBeLessThan(NOISE);
  }, 60_000);
});
