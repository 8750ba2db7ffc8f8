/** One contestant's life: start it on a free port, see that it answers correctly, stop it with all it started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { javascriptApps, pythonApps, venv } from './paths.mjs';
import { peers } from './peers.mjs';

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 3_000;
const running = new Set();
process.on('exit', () => running.forEach((child) => void killGroup(child)));
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

/** Starts a contestant; resolves when it has answered `expect` correctly. Rejects with what was wrong. */
export async function startServer(contestant, groupApp, expect, environment = {}) {
  const port = await findFreePort();
  const peer = peers[contestant.peer];
  const app = contestant.app ?? groupApp;
  const [program, ...args] = peer.command({ ...contestant, app, port: String(port) }).map(String);
  const started = performance.now();
  const child = spawn(program, args, {
    cwd: peer.language === 'python' ? pythonApps : javascriptApps,
    env: {
      ...process.env,
      ...environment,
      VIRTUAL_ENV: venv,
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONPATH: pythonApps,
      NODE_ENV: 'production',
      // Node.js reads a machine's own certificates each time that it begins, which takes as long as all the rest of that.
      NODE_EXTRA_CA_CERTS: undefined,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  const output = collectOutput(child);
  const server = { pid: child.pid, port, url: `http://127.0.0.1:${port}`, stop: () => stopServer(child) };
  try {
    await waitForAnswer(server, child, expect);
    return { ...server, startMs: performance.now() - started };
  } catch (error) {
    await server.stop();
    const lastLine = output().trim().split('\n').at(-1);
    throw new Error(lastLine ? `${error.message} (${lastLine})` : error.message);
  }
}

/** Fetches a path once, by POST where there is something to `post`, and compares; throws what was wrong. */
export async function checkAnswer(server, { path, post, body, includes }) {
  const answer = await fetchOnce(`${server.url}${path}`, post);
  if (answer.status !== 200)
    throw new Error(`${path} answered ${answer.status}: ${answer.body.slice(0, 200)}`);
  const wrong =
    body === undefined ? !includes.every((part) => answer.body.includes(part)) : answer.body !== body;
  if (wrong) throw new Error(`${path} answered the wrong body: ${JSON.stringify(answer.body.slice(0, 200))}`);
}

async function waitForAnswer(server, child, expect) {
  const deadline = performance.now() + START_LIMIT_MS;
  while (child.exitCode === null) {
    const refused = await checkAnswer(server, expect).then(
      () => null,
      (error) => error,
    );
    if (refused === null) return;
    if (refused.code !== 'ECONNREFUSED' && refused.code !== 'ECONNRESET') throw refused;
    if (performance.now() > deadline) throw new Error(`no answer in ${START_LIMIT_MS / 1000} s`);
    await sleep(5);
  }
  throw new Error(`it exited with ${child.exitCode}`);
}

async function stopServer(child) {
  if (!running.delete(child)) return;
  if (child.exitCode === null) {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
  }
  killGroup(child);
}

/** What a server started may outlive it; the group is its own, so nothing else is hit. */
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function collectOutput(child) {
  let text = '';
  const add = (chunk) => {
    text = (text + chunk).slice(-4000);
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  return () => text;
}

function fetchOnce(url, post) {
  const method = post === undefined ? 'GET' : 'POST';
  const headers = post === undefined ? {} : { 'Content-Type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, timeout: 5000, method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
      response.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`${url}: no answer in 5 s`)));
    sent.on('error', reject);
    sent.end(post);
  });
}

async function findFreePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}
