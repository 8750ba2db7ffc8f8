/**
 * The benchmarks: `npm run bench`, `npm run bench -- hello cpu`, `npm run bench -- --docs`.
 * bench/README.md tells what is measured and how.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { calibrate } from './lib/calibrate.mjs';
import { writeDocs } from './lib/docs.mjs';
import { describeMachine } from './lib/machine.mjs';
import { bench, lidoCommand, pythonApps, venv } from './lib/paths.mjs';
import { python } from './lib/peers.mjs';
import { compareResults, loadLastResult, saveResult } from './lib/results.mjs';
import { runScenario } from './lib/rounds.mjs';
import { buildTable, listDisturbed, listFailures } from './lib/table.mjs';

// What is counted, not timed, is a program of its own.
if (process.argv[2] === 'operate') {
  process.argv.splice(2, 1);
  await import('./operate.mjs');
  process.exit();
}

const SCENARIOS = [
  'hello',
  'frameworks',
  'cpu',
  'mixed',
  'wait',
  'stream',
  'static',
  'asgi',
  'websocket',
  'start',
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string', multiple: true, default: [] },
    group: { type: 'string', default: '' },
    docs: { type: 'boolean', default: false },
    'from-results': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !SCENARIOS.includes(name));
if (values.help || unknown.length > 0) {
  console.log(`npm run bench -- [SCENARIO...] [options]    scenarios: ${SCENARIOS.join(' ')} (default: all)
npm run bench -- operate [--help]          requests lost while something is done to a server
  --rounds N         rounds, interleaved (3)
  --seconds N        length of one load (2)
  --only TEXT        only servers whose label holds the text; repeatable
  --group TEXT       only tables whose group's name holds the text
  --docs             write docs/benchmarks.md and its plots from the newest results
  --from-results     measure nothing: only what --docs does`);
  process.exit(unknown.length > 0 ? 2 : 0);
}

const names = positionals.length > 0 ? positionals : SCENARIOS;
if (!values['from-results']) requireSetup();
if (!values['from-results']) compileGateway();
if (!values['from-results']) for (const name of names) await runAndReport(name);
if (values.docs) await writeDocs(SCENARIOS);

/** Without its set-up there would be empty tables, and no word of why. */
function requireSetup() {
  const missing = [
    [existsSync(lidoCommand), 'Lido is not built: npm run build'],
    [existsSync(`${bench}/node_modules`), 'the peers in JavaScript are not installed: npm run bench:setup'],
    [existsSync(`${venv}/bin/python`), 'the peers in Python are not installed: npm run bench:setup'],
    [spawnSync('wrk', ['--version']).error === undefined, 'wrk is not on PATH: apt-get install wrk'],
  ].filter(([isThere]) => !isThere);
  if (missing.length === 0) return;
  for (const [, text] of missing) console.error(text);
  process.exit(2);
}

/** As pip does with the peers' modules when it installs them, and Python with Lido's where it may: here it is not to write. */
function compileGateway() {
  const folder = join(dirname(lidoCommand), '../workers/python');
  spawnSync(`${venv}/bin/python`, ['-m', 'compileall', '-q', folder]);
}

async function runAndReport(name) {
  const { default: scenario } = await import(`./scenarios/${name}.mjs`);
  const started = performance.now();
  const last = loadLastResult(name);
  const groups = await runScenario(scenario, {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    only: values.only,
    group: values.group,
    environment: { ...makeDatabase(), ...(scenario.calibrated ? calibrate() : {}) },
    say: (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`),
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  console.log(`\n# ${scenario.title}\n\n${scenario.text}`);
  for (const group of groups) {
    for (const load of group.loads) {
      console.log(`\n## ${group.name}: ${load.name}\n\n${buildTable(load)}`);
      if (listDisturbed(load) !== '') console.log(`\n${listDisturbed(load)}`);
    }
    if (listFailures(group) !== '') console.log(`\n${listFailures(group)}`);
  }
  const { rounds, seconds } = values;
  // A result of some servers only must not stand where the next run and the docs look for a whole one.
  const isPart = values.only.length > 0 || values.group !== '';
  const file = saveResult(isPart ? `partial-${name}` : name, {
    scenario: name,
    rounds,
    seconds,
    machine: await describeMachine(),
    groups,
  });
  const compared = last === null ? [] : compareResults(last, groups);
  if (compared.length > 0)
    console.log(
      `\nAgainst the result of ${last.machine.date} (${last.machine.commit}):\n${compared.join('\n')}`,
    );
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s; saved in ${file}`);
}

/** The frameworks' database, new for each scenario. */
function makeDatabase() {
  const file = join(mkdtempSync(join(tmpdir(), 'lido-bench-')), 'shop.db');
  python(
    `import os, sys; os.environ["BENCH_DB"] = ${JSON.stringify(file)}; sys.path.insert(0, ${JSON.stringify(pythonApps)}); import shop; shop.make_database()`,
  );
  return { BENCH_DB: file };
}
