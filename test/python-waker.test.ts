// The word by which a worker says that it has woken the main thread, where an exception comes amid that: all workers go by it.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { root, venv } from './support/server.js';

it('does not take the main thread for woken where an exception came before the byte was written', () => {
  const code = [
    'import os, runpy, sys',
    `waker = runpy.run_path('${root}workers/python/waker.py')`,
    "read, end = waker['make_pipe']()",
    'told = memoryview(bytearray(4)).cast("I")',
    "wake = waker['make_waker'](told, end)",
    'def interrupt(_frame, event, function):',
    '    if event == "c_call" and function is os.write:',
    '        raise TimeoutError',
    'try:',
    '    sys.setprofile(interrupt)',
    '    wake()',
    'except TimeoutError:',
    '    sys.setprofile(None)',
    '    print("interrupted", told[0])',
    'wake()',
    'wake()',
    'print(told[0], os.read(read, 9))',
  ].join('\n');
  const printed = execFileSync(`${venv}/bin/python`, ['-c', code], { encoding: 'utf8' });
  expect(printed.trim().split('\n')).toEqual(['interrupted 0', String.raw`1 b'\x00'`]);
});
