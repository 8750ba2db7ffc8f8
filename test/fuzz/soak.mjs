// npm run soak -- [--minutes 10]
// Mixed load on both languages: quick, slow, vanishing and hostile clients; prints memory and descriptors every minute.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRandom } from './random.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const random = createRandom(Number(values.seed));
const end = performance.now() + Number(values.minutes) * 60_000;
const counts = { quick: 0, uploads: 0, downloads: 0, slow: 0, vanished: 0, hostile: 0, wrong: 0 };
const agent = new Agent({ keepAlive: true, maxSockets: 32 });

const servers = await Promise.all(['applications.mjs', 'applications.py'].map(startServers));
const flat = servers.flat();
report('start');
const reporting = setInterval(() => report('load'), 60_000);
await Promise.all(Array.from({ length: 24 }, () => keepBusy()));
clearInterval(reporting);
agent.destroy();
await new Promise((resolve) => setTimeout(resolve, 5000));
report('end');
console.log(JSON.stringify(counts));
for (const { child } of flat) child.kill('SIGTERM');
process.exitCode = counts.wrong === 0 ? 0 : 1;

function startServers(file) {
  return Promise.all(
    ['echo', 'stream', 'misbehaves'].map((callable) => startServer(`${root}test/apps/${file}:${callable}`)),
  );
}

async function startServer(application) {
  const options = [
    '--bind',
    '127.0.0.1:0',
    '--threads',
    '2',
    '--timeout',
    '2',
    '--keepalive',
    '5',
    '--header-timeout',
    '3',
    '--body-timeout',
    '3',
    '--python',
    `${root}.venv`,
  ];
  const child = spawn(process.execPath, [`${root}dist/src/cli.js`, ...options, application], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const port = await new Promise((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      const match = /http:\/\/127\.0\.0\.1:(\d+)/.exec(chunk);
      if (match !== null) resolve(Number(match[1]));
    });
    child.on('exit', (code) => reject(new Error(`${application} ended with ${code}`)));
  });
  child.on('exit', (code) => {
    if (performance.now() >= end) return;
    console.error(`${application} ended with ${code}`);
    process.exit(1);
  });
  return { name: application.split('/').at(-1), callable: application.split(':')[1], child, port };
}

async function keepBusy() {
  while (performance.now() < end) {
    const server = random.pick(flat);
    const likelihood = random.next();
    if (likelihood < 0.05) await vanish(server);
    else if (likelihood < 0.08) await attack(server);
    else if (server.callable === 'echo') await upload(server);
    else if (server.callable === 'stream') await download(server);
    else await misbehave(server);
  }
}

async function upload({ port }) {
  const body = Buffer.alloc(random.pick([0, 10, 1000, 60_000, 70_000, 1_000_000]), 'u');
  const response = await ask(port, '/', body);
  counts.uploads += 1;
  if (response.status !== 200 || response.size !== body.length) counts.wrong += 1;
}

async function download({ port }) {
  const size = random.pick([10, 1000, 100_000, 5_000_000]);
  const slow = random.chance(0.05);
  const response = await ask(port, `/?${size}`, null, slow);
  counts[slow ? 'slow' : 'downloads'] += 1;
  if (response.status !== 200 || response.size !== size) counts.wrong += 1;
}

async function misbehave({ port }) {
  const path = random.chance(0.002) ? random.pick(['/loop', '/exit', '/recurse']) : '/';
  const { status } = await ask(port, path, null);
  counts.quick += 1;
  if (path === '/' ? status !== 200 : status < 500) counts.wrong += 1;
}

function ask(port, path, body, slow = false) {
  return new Promise((resolve) => {
    const sent = request(
      {
        port,
        path,
        agent,
        method: body === null ? 'GET' : 'POST',
        headers: body === null ? {} : { 'Content-Length': body.length },
      },
      (response) => {
        let size = 0;
        response.on('data', (chunk) => {
          size += chunk.length;
          if (!slow) return;
          response.pause();
          setTimeout(() => response.resume(), 5);
        });
        response.on('close', () => resolve({ status: response.statusCode, size }));
      },
    );
    sent.on('error', () => resolve({ status: 0, size: 0 }));
    sent.end(body ?? undefined);
  });
}

/** Goes away somewhere within a request or its answer. */
function vanish({ port }) {
  counts.vanished += 1;
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('POST /?5000000 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n');
      socket.write('x'.repeat(random.below(200_000)));
      setTimeout(() => socket.destroy(), random.below(30));
    });
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}

/** Noise, or a head that never ends. */
function attack({ port }) {
  counts.hostile += 1;
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(
        random.pick([
          '\0\0\0\0',
          'GET / HTTP/1.1\r\nHost: a\r\nX: ',
          'GET / HTTP/9.9\r\n\r\n',
          'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
        ]),
      ),
    );
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}

function report(phase) {
  for (const { name, child } of flat) {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const megabytes = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
    console.log(
      `${phase}\t${name}\t${megabytes} MB\t${readdirSync(`/proc/${child.pid}/fd`).length} descriptors\t${/Threads:\s+(\d+)/.exec(status)[1]} threads`,
    );
  }
}
