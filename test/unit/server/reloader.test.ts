import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { LidoError } from '../../../src/contract/errors.js';
import { Reloader } from '../../../src/server/development/reloader.js';
import { makeFolder } from '../../support/command.js';

/** A reloader of a server whose reloads end as they are told to, and what it has logged. */
function develop(reload: () => Promise<void>) {
  const file = join(makeFolder({ 'app.py': 'one' }), 'app.py');
  const lines: string[] = [];
  const log = (...words: unknown[]) => void lines.push(String(words.at(-1)));
  const served = { reload: vi.fn(reload), abandonStart: vi.fn(), showFailure: vi.fn() };
  const reloader = new Reloader([file], [], { error: log, warn: log, info: log });
  let saves = 0;
  const save = () => {
    saves += 1;
    writeFileSync(file, 'one'.repeat(saves + 1));
  };
  return { reloader, served, save, lines };
}

it('loads the next save although nobody had foreseen what became of the last one', async () => {
  const { reloader, served, save, lines } = develop(async () => {
    throw new TypeError('nobody foresaw this');
  });
  reloader.begin(served);
  reloader.serve();
  save();
  await expect.poll(() => served.reload).toHaveBeenCalledTimes(1);
  save();
  await expect.poll(() => served.reload).toHaveBeenCalledTimes(2);
  expect(lines[0]).toMatch(/app\.py changed, and cannot be served: .*nobody foresaw this/);
});

it('loads what was saved while it loaded, and says nothing of a failure that is mended by then', async () => {
  let fail: (error: LidoError) => void = () => {};
  const loads = [
    new Promise<void>((_, reject) => {
      fail = reject;
    }),
    Promise.resolve(),
  ];
  const { reloader, served, save, lines } = develop(() => loads.shift() ?? Promise.resolve());
  reloader.begin(served);
  reloader.serve();
  save();
  await expect.poll(() => served.reload).toHaveBeenCalledTimes(1);
  save();
  await expect.poll(() => served.abandonStart).toHaveBeenCalledTimes(1);
  fail(new LidoError('LIDO_ENDED_WHILE_LOADING', ['app.py', 'its process ended by SIGKILL']));
  await expect.poll(() => lines.join('\n')).toMatch(/has changed again[\s\S]*loaded anew/);
  expect(served.reload).toHaveBeenCalledTimes(2);
  expect(served.showFailure).not.toHaveBeenCalled();
});
