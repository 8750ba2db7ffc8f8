/** As many requests as a server can answer on so many connections: wrk, or autocannon where there is no wrk. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bench } from './paths.mjs';

const run = promisify(execFile);
const report = fileURLToPath(new URL('./report.lua', import.meta.url));
let tool;

/** Which load tool is used. */
export async function findLoadTool() {
  tool ??= await run('wrk', ['-v']).then(
    () => 'wrk',
    (error) => (error.code === 'ENOENT' ? 'autocannon' : 'wrk'),
  );
  return tool;
}

/** Requests per second, and latencies in milliseconds. Of several `paths` each request takes one at random; `post` is a body in JSON. */
export async function saturate(server, { path, paths = [], post, connections, seconds }) {
  const url = `${server.url}${path}`;
  return (await findLoadTool()) === 'wrk'
    ? runWrk(url, post === undefined ? paths : ['POST', post], connections, seconds)
    : runAutocannon(url, { paths, post }, connections, seconds);
}

async function runWrk(url, wishes, connections, seconds) {
  const args = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '5s',
    '-s',
    report,
    url,
    ...(wishes.length > 0 ? ['--', ...wishes] : []),
  ];
  const { stdout } = await run('wrk', args);
  const result = JSON.parse(/^RESULT (.*)$/m.exec(stdout)[1]);
  return {
    requests: result.requests,
    rate: result.requests / result.seconds,
    p50: result.p50 / 1000,
    p99: result.p99 / 1000,
    max: result.max / 1000,
    errors: result.errors + result.timeouts,
  };
}

async function runAutocannon(url, { paths, post }, connections, seconds) {
  if (paths.length > 0) throw new Error('several paths at once need wrk');
  const command = `${bench}/node_modules/autocannon/autocannon.js`;
  const body = post === undefined ? [] : ['-m', 'POST', '-T', 'application/json', '-b', post];
  const args = [command, '-j', '-c', connections, '-d', seconds, ...body, url];
  const { stdout } = await run(process.execPath, args);
  const { requests, latency, duration, errors, non2xx } = JSON.parse(stdout);
  return {
    requests: requests.total,
    rate: requests.total / duration,
    p50: latency.p50,
    p99: latency.p99,
    max: latency.max,
    errors: errors + non2xx,
  };
}
