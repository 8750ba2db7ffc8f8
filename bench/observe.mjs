/**
 * What it costs to look: a hello with and without access log and metrics. `node bench/observe.mjs [ROUNDS [SECONDS]]`.
 * All servers run, one is loaded at a time, each in every round; ratios are taken within a round.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './lib/figures.mjs';
import { javascriptApps, lidoCommand, pythonApps } from './lib/paths.mjs';
import { readCpuSeconds } from './lib/processes.mjs';
import { saturate } from './lib/saturate.mjs';

const [rounds = 9, seconds = 1] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'lido-observe-'));
const log = (name, format) => ['--access-log', join(folder, name), '--access-log-format', format];
const ways = {
  'nothing asked for': [],
  'access log, combined': log('combined', 'combined'),
  'access log, json': log('json', 'json'),
  metrics: ['--admin', `unix:${folder}/admin.sock`],
  'metrics and access log': ['--admin', `unix:${folder}/both.sock`, ...log('both', 'combined')],
};
const applications = {
  JavaScript: `${javascriptApps}/hello.js:application`,
  Python: `${pythonApps}/hello.py:application`,
};

for (const [language, application] of Object.entries(applications)) {
  const servers = [];
  for (const [way, options] of Object.entries(ways)) servers.push(await start(way, application, options));
  for (const server of servers) await saturate(server, { path: '/', connections: 32, seconds: 1 });
  for (let round = 0; round < rounds; round += 1) {
    for (const index of servers.keys()) await load(servers[(index + round) % servers.length]);
  }
  report(language, servers);
  for (const { child } of servers) child.kill('SIGTERM');
  await Promise.all(servers.map(({ child }) => once(child, 'exit')));
}
rmSync(folder, { recursive: true, force: true });

async function start(way, application, options) {
  const child = spawn(
    process.execPath,
    [lidoCommand, '--bind', '127.0.0.1:0', '--threads', '1', ...options, application],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  for await (const text of child.stderr.setEncoding('utf8')) {
    said += text;
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
    if (url !== undefined) return { way, child, url, rates: [], costs: [] };
  }
  throw new Error(said);
}

async function load(server) {
  const before = readCpuSeconds(server.child.pid);
  const { rate, requests, errors } = await saturate(server, { path: '/', connections: 32, seconds });
  if (errors > 0) throw new Error(`${server.way}: ${errors} errors`);
  server.rates.push(rate);
  server.costs.push(((readCpuSeconds(server.child.pid) - before) / requests) * 1e6);
}

function report(language, [plain, ...others]) {
  console.log(
    `\n${language}: ${Math.round(median(plain.rates))} requests/s, ${median(plain.costs).toFixed(1)} µs of CPU each`,
  );
  for (const { way, rates, costs } of others) {
    const rate = median(rates.map((value, round) => value / plain.rates[round]));
    const cost = median(costs.map((value, round) => value / plain.costs[round]));
    console.log(`  ${way.padEnd(24)} ${rate.toFixed(3)} of the requests, ${cost.toFixed(3)} of the CPU`);
  }
}
