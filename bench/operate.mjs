/**
 * What clients lose while an operator does something to a server: `npm run bench -- operate`. Counts, no speed. Sixteen clients
 * ask all the while, eight on kept connections and eight on a fresh one for each request, of an application that waits 5 ms.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { describeMachine } from './lib/machine.mjs';
import { acts, keepGil, restartBehindNginx } from './lib/operate/acts.mjs';
import { Load } from './lib/operate/load.mjs';
import { Site, servers } from './lib/operate/site.mjs';
import { saveResult } from './lib/results.mjs';

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '20' },
    only: { type: 'string', multiple: true, default: [] },
    act: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`npm run bench -- operate [options]
  --times N    reloads, rounds of recycling, tenths of restarts (20)
  --only TEXT  only servers whose name holds the text; repeatable
  --act TEXT   only what holds the text; repeatable`);
  process.exit();
}
const times = Number(values.times);
const named = (text, wanted) => wanted.length === 0 || wanted.some((part) => text.includes(part));
const names = Object.keys(servers).filter((name) => named(name, values.only));
const makeLoad = (options) => new Load(options);

const rows = [];
for (const { name, needs, site = {}, act, isRefusalLoss = true } of acts)
  await addRow(name(times), async (server) => {
    if (needs !== undefined && !servers[server].can.includes(needs)) return null;
    return count(await run(server, site, act), isRefusalLoss);
  });
const restarts = Math.max(1, Math.round(times / 10));
if (spawnSync('nginx', ['-v']).error === undefined)
  await addRow(`${restarts} rolling restarts of two instances behind nginx`, async (server) =>
    count(await restartBehindNginx(server, restarts, makeLoad), true),
  );
await addRow('answered while one process keeps the GIL for 6 s', async (server) => {
  const { before, within, load } = await keepGil(server, makeLoad);
  return { ...count(load, true), before, within };
});

console.log(`\n${buildTable()}`);
console.log(`\nsaved in ${saveResult('operate', { times, machine: await describeMachine(), rows })}`);

async function addRow(title, measure) {
  if (!named(title, values.act)) return;
  const cells = {};
  for (const server of names) {
    process.stderr.write(`${title}: ${server}\n`);
    cells[server] = await measure(server).catch((error) => ({ failure: error.message }));
  }
  rows.push({ title, cells });
}

async function run(server, options, act) {
  const site = new Site(server, options);
  try {
    await site.start();
    const load = makeLoad({ port: site.port, secure: options.tls === true });
    await load.answerMore(100);
    try {
      await act({ site, load, server, times });
    } finally {
      await load.stop();
    }
    return load;
  } finally {
    await site.close();
  }
}

function count({ kept, fresh }, isRefusalLoss) {
  const sum = ({ answered, lost, refused }) => ({
    answered,
    lost: lost.length + (isRefusalLoss ? refused : 0),
    examples: [...new Set(lost)].slice(0, 3),
  });
  return { kept: sum(kept), fresh: sum(fresh) };
}

/** "lost on kept + lost on fresh connections, of all" */
function buildTable() {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const lines = rows.map(({ title, cells }) => line([title, ...names.map((name) => show(cells[name]))]));
  return [line(['', ...names]), line(['---', ...names.map(() => '---:')]), ...lines].join('\n');
}

function show(cell) {
  if (cell === null) return 'has none';
  if (cell.failure !== undefined) return `failed: ${cell.failure}`;
  const { kept, fresh, before, within } = cell;
  const all = kept.answered + kept.lost + fresh.answered + fresh.lost;
  const lost = `${kept.lost} + ${fresh.lost} of ${all}`;
  return within === undefined
    ? lost
    : `${within}, ${before} in as long before; lost ${kept.lost} + ${fresh.lost}`;
}
