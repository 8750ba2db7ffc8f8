import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { root } from './support/server.js';

type Status = 'passed' | 'failed' | 'pending';

function describeFile(...statuses: Status[]): object {
  const failed = statuses.includes('failed') || statuses.length === 0;
  return {
    status: failed ? 'failed' : 'passed',
    assertionResults: statuses.map((status) => ({ status })),
  };
}

function count(report: string, ...steps: string[]): [line: string, status: number | null] {
  const file = join(makeFolder({ 'tests.json': report }), 'tests.json');
  const script = `${root}scripts/count-tests.mjs`;
  const { stdout, status } = spawnSync(process.execPath, [script, file, ...steps], { encoding: 'utf8' });
  return [stdout, status];
}

it.each([
  ['all passed', true, [describeFile('passed', 'passed')], '2 passed, 0 failed', 0],
  ['a test failed', false, [describeFile('passed', 'failed')], '1 passed, 1 failed', 1],
  ['a test was skipped', true, [describeFile('passed', 'pending')], '1 passed, 0 failed', 0],
  ['a file could not be loaded', false, [describeFile('passed'), describeFile()], '1 passed, 1 failed', 1],
  ['an error was outside of all tests', false, [describeFile('passed')], '1 passed, 1 failed', 1],
  ['no test ran', true, [], '0 passed, 0 failed', 1],
])('counts when %s', (_, success, testResults, line, status) => {
  expect(count(JSON.stringify({ success, testResults }))).toEqual([`${line}\n`, status]);
});

it('counts a failed step, and a report that was never written', () => {
  const report = JSON.stringify({ success: true, testResults: [describeFile('passed')] });
  expect(count(report, '2')).toEqual(['1 passed, 2 failed\n', 1]);
  // The process of a file was killed: the report knows nothing of it, and only the status tells.
  expect(count(report, '0', '1')).toEqual(['1 passed, 1 failed\n', 1]);
  expect(count('', '0')).toEqual(['0 passed, 1 failed\n', 1]);
});
