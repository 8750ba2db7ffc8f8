// npm run greedy -- [--connections 300] [--heap 512]
// So many clients send 64 KiB of the shortest requests each, before any is answered, and read nothing until all have sent.
// Says what memory that took; fails where the server ends, or leaves anybody without an answer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: { connections: { type: 'string', default: '300' }, heap: { type: 'string', default: '512' } },
});
const connections = Number(values.connections);
const REQUEST = 'GET / HTTP/1.1\r\nHost:a\r\n\r\n';
const COUNT = Math.floor((64 * 1024) / REQUEST.length);
/** Answers that each of them has to get. */
const SOME = 20;
/** How long all of them may take. */
const PATIENCE_MS = 120_000;

const server = spawn(
  process.execPath,
  [
    `--max-old-space-size=${values.heap}`,
    `${root}dist/src/cli.js`,
    '--bind',
    '127.0.0.1:0',
    '--threads',
    '1',
    `${root}test/apps/applications.mjs:misbehaves`,
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let isDone = false;
const ended = once(server, 'exit').then(([code, signal]) => {
  if (!isDone) throw new Error(`the server ended with ${code ?? signal}`);
});
const overdue = pause(PATIENCE_MS, null, { ref: false }).then(() => {
  throw new Error(`not done after ${PATIENCE_MS / 1000} s`);
});
// What its clients meet when it ends says less than how it ended.
const port = await Promise.race([findPort(), ended]);
const atRest = readMemory('VmRSS');
try {
  await Promise.race([
    ended,
    overdue,
    attack().catch((error) => pause(1000).then(() => Promise.reject(error))),
  ]);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
isDone = true;
server.kill('SIGKILL');

async function attack() {
  // One that takes its time comes first, so that nothing is answered while they send.
  const first = ask('/sleep?2');
  const clients = await Promise.all(Array.from({ length: connections }, open));
  for (const client of clients) client.write(REQUEST.repeat(COUNT));
  await first;
  const began = performance.now();
  const { status } = await ask('/other');
  const waited = Math.round(performance.now() - began);
  console.log(
    `${connections} connections, ${COUNT} requests each: another was answered with ${status} after ${waited} ms`,
  );
  console.log(`memory: ${atRest} MB at rest, ${readMemory('VmHWM')} MB at most`);
  await Promise.all(clients.map(readSome));
  console.log(`each of them was answered ${SOME} times`);
  for (const client of clients) client.destroy();
  const last = await ask('/last');
  if (last.status !== 200) throw new Error(`the last one was answered with ${last.status}`);
}

async function open() {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  await once(socket, 'connect');
  return socket;
}

function readSome(socket) {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (more) => {
      text += more;
      if (text.split('HTTP/1.1 200 OK').length <= SOME) return;
      socket.removeAllListeners('data').pause();
      resolve();
    });
    socket.on('close', () => reject(new Error(`a connection ended after ${text.slice(0, 200)}`)));
    socket.resume();
  });
}

async function ask(path) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

function findPort() {
  return new Promise((resolve) => {
    let text = '';
    server.stderr.on('data', (chunk) => {
      text += chunk;
      const match = /127\.0\.0\.1:(\d+)/.exec(text);
      if (match !== null) resolve(Number(match[1]));
    });
  });
}

function readMemory(name) {
  const status = readFileSync(`/proc/${server.pid}/status`, 'latin1');
  return Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
}
