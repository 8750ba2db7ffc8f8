// Runs once before all tests: says what is missing, where each test would say only that something does not start.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export default function checkSetup(): void {
  if (!existsSync(`${root}dist/src/cli.js`)) throw new Error('nothing is built: run `npm run build`');
  const { status, stderr } = spawnSync(process.execPath, [`${root}scripts/setup-python.mjs`, '--check'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}
