// npm run crash-suite -- [--calls 200000] [PYTHON...]
// Does to a server what brings processes down that embed Python, and prints a table. Without names: the Python of .venv.
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { repeatCalls, scenarios } from './scenarios.mjs';

const PROBE = `import sys
gil = getattr(sys, '_is_gil_enabled', lambda: True)()
print(sys.version.split()[0] + ('' if gil else 't'), sys.version_info >= (3, 13) and gil)`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { calls: { type: 'string', default: '200000' } },
});
const named =
  positionals.length > 0 ? positionals : [fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))];
const ways = named.flatMap(findWays);
const calls = Number(values.calls);

const machine = `${process.platform} ${process.arch}, ${availableParallelism()} cores`;
console.log(`${new Date().toISOString().slice(0, 10)}, ${machine}, Node.js ${process.versions.node}\n`);
print(['', ...ways.map(({ name }) => name)]);
print(['---', ...ways.map(() => '---')]);
for (const [name, run] of scenarios) await printRow(name, run);
if (calls > 0) await printRow(`memory halfway and after ${calls} calls`, (way) => repeatCalls(way, calls));

function findWays(python) {
  const [version, ownGils] = execFileSync(python, ['-c', PROBE]).toString().trim().split(' ');
  const shared = { name: version, python, interpreter: 'shared' };
  if (ownGils !== 'True') return [shared];
  return [shared, { name: `${version} isolated`, python, interpreter: 'isolated' }];
}

async function printRow(name, run) {
  const cells = [];
  for (const way of ways)
    cells.push(
      await run(way).then(
        (result) => result ?? 'ok',
        (error) => fail(name, way, error),
      ),
    );
  print([name, ...cells]);
}

function fail(scenario, { name }, error) {
  console.error(`${scenario}, ${name}: ${error.message}`);
  process.exitCode = 1;
  return 'FAILED';
}

function print(cells) {
  console.log(`| ${cells.join(' | ')} |`);
}
