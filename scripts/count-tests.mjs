// Prints "N passed, N failed" for a report of vitest's JSON reporter, and exits with 1 unless all is well.
// node scripts/count-tests.mjs REPORT [FAILED-STEPS [STATUS]]: steps beside the tests that failed are counted as failures, and
// so is a run that ended with another status than 0 although its report tells of none, as when a file's process is killed.
import { readFileSync } from 'node:fs';

const [file, steps = '0', status = '0'] = process.argv.slice(2);
const { passed, failed } = countTests(readReport(file));
const allFailed = failed + Number(steps);
console.log(`${passed} passed, ${allFailed} failed`);
process.exit(allFailed === 0 && passed > 0 ? 0 : 1);

function countTests(report) {
  if (report === null) return { passed: 0, failed: 1 };
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.filter(({ status }) => status === 'failed').length;
  // A file that cannot be loaded has no tests to fail, and an error outside of all tests fails none.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const isSound = report.success && status === '0';
  const elsewhere = !isSound && failed + broken === 0 ? 1 : 0;
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: failed + broken + elsewhere,
  };
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
