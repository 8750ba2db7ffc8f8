/**
 * Gets what the benchmarks need: bench/node_modules, and bench/.venv with the Python peers and frameworks.
 * Usage: npm run bench:setup [-- PYTHON]. A peer that cannot be built here is named, and left out of the tables.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { bench, venv } from './lib/paths.mjs';

const interpreter = process.argv[2] ?? 'python3';

run('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund', '--prefix', bench]);
if (!existsSync(`${venv}/bin/python`)) run(interpreter, ['-m', 'venv', venv]);
const missing = readRequirements().filter((one) => !install(one));
if (missing.length > 0)
  console.log(`\nleft out: ${missing.join(', ')} (bench/README.md names what they need)`);

/** Each line by itself: one that fails must not take the others with it. */
function install(requirement) {
  console.log(`pip install ${requirement}`);
  const quiet = ['install', '--quiet', '--disable-pip-version-check', requirement];
  return spawnSync(`${venv}/bin/pip`, quiet, { stdio: ['ignore', 'inherit', 'ignore'] }).status === 0;
}

function readRequirements() {
  const lines = readFileSync(`${bench}/requirements.txt`, 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${program} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}
