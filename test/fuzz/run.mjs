// npm run fuzz -- [--seconds 60] [--seed N] [--language javascript|python|both]
// Mutated requests and random but legal applications against real servers, until the time is over or a rule is broken.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createJiti } from 'jiti';
import { parseResponses } from './framing.mjs';
import { mutate } from './mutate.mjs';
import { createRandom } from './random.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    language: { type: 'string', default: 'both' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const random = createRandom(seed);
const { corpus } = await createJiti(import.meta.url).import(`${root}test/corpus/requests.ts`);
const requests = Object.values(corpus)
  .flat()
  .map(({ request }) => request);
const languages = values.language === 'both' ? ['javascript', 'python'] : [values.language];
/** How long an answer may take, in milliseconds; past it something hangs. */
const PATIENCE_MS = 15_000;
const BODILESS = ['204 No Content', '205 Reset Content', '304 Not Modified'];

console.log(`seed ${seed}`);
const servers = await Promise.all(languages.map(startServer));
const before = servers.map(measure);
const counts = { mutated: 0, answered: 0, silent: 0, applications: 0 };
/** Milliseconds between lines that say how far it is. */
const REPORT_MS = 60_000;
let nextReport = performance.now() + REPORT_MS;
const end = performance.now() + Number(values.seconds) * 1000;
try {
  while (performance.now() < end) {
    const server = random.pick(servers);
    await Promise.all(
      Array.from({ length: 64 }, () => (random.chance(0.6) ? tryMutation(server) : tryApplication(server))),
    );
    if (performance.now() >= nextReport) report();
    for (const { child, language } of servers)
      if (child.exitCode !== null) throw new Error(`the ${language} server ended with ${child.exitCode}`);
  }
  await settle();
} catch (error) {
  console.error(`seed ${seed}: ${error.stack}`);
  process.exitCode = 1;
}
console.log(JSON.stringify(counts));
servers.forEach((server, index) => {
  const after = measure(server);
  console.log(
    `${server.language}: ${before[index].megabytes} MB and ${before[index].descriptors} descriptors before, ${after.megabytes} MB and ${after.descriptors} after`,
  );
  if (after.descriptors > before[index].descriptors + 5) {
    console.error(`seed ${seed}: descriptors were left open`);
    process.exitCode = 1;
  }
  server.child.kill('SIGTERM');
});

async function startServer(language) {
  const file = language === 'javascript' ? 'scripted.mjs' : 'scripted.py';
  const child = spawn(
    process.execPath,
    [
      `${root}dist/src/cli.js`,
      '--bind',
      '127.0.0.1:0',
      '--threads',
      '2',
      '--log-level',
      'info',
      '--keepalive',
      '1',
      '--header-timeout',
      '2',
      '--body-timeout',
      '2',
      '--timeout',
      '10',
      '--python',
      `${root}.venv`,
      `${root}test/fuzz/${file}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const port = await new Promise((resolve, reject) => {
    let text = '';
    child.stderr.on('data', (chunk) => {
      if (text === null) return;
      text += chunk;
      const match = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
      if (match === null) return;
      text = null;
      resolve(Number(match[1]));
    });
    child.on('exit', (code) => reject(new Error(`no start: ${code} ${text}`)));
  });
  return { language, child, port };
}

function report() {
  nextReport = performance.now() + REPORT_MS;
  const memory = servers.map((server) => `${server.language} ${measure(server).megabytes} MB`).join(', ');
  console.log(`${JSON.stringify(counts)} ${memory}`);
}

/** Sends bytes, perhaps in pieces, and returns all that comes until the server or the quiet ends it. */
function converse(port, request, { leaves = false } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    const patience = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(
          `nothing ended this within ${PATIENCE_MS} ms: ${JSON.stringify(request)}\nreceived ${JSON.stringify(received.slice(0, 500))}`,
        ),
      );
    }, PATIENCE_MS);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(patience);
      resolve(received);
    });
    const pieces = random.chance(0.3) ? cut(request) : [request];
    for (const piece of pieces) socket.write(Buffer.from(piece, 'latin1'));
    if (leaves) socket.destroy();
  });
}

function cut(text) {
  const at = random.below(text.length + 1);
  return [text.slice(0, at), text.slice(at)];
}

async function tryMutation({ port }) {
  const request = mutate(random.pick(requests), random);
  const leaves = random.chance(0.1);
  counts.mutated += 1;
  const received = await converse(port, request, { leaves });
  if (leaves) return;
  try {
    const responses = parseAnswers(received, request);
    if (responses.length === 0) counts.silent += 1;
    else counts.answered += 1;
    const most = (request.match(/HTTP\/1/g)?.length ?? 0) * 2 + 1;
    if (responses.length > most) throw new Error(`${responses.length} answers to at most ${most} requests`);
  } catch (error) {
    throw new Error(
      `${error.message}\nrequest ${JSON.stringify(request)}\nreceived ${JSON.stringify(received.slice(0, 1000))}`,
    );
  }
}

/** What the server took for a request's method is not known: any of those that say HEAD may have been one. */
function parseAnswers(received, request) {
  const mayHoldHead = request.includes('HEAD');
  for (let guess = 0; ; guess += 1) {
    const methods = Array.from({ length: 8 }, (_, index) => ((guess >> index) & 1 ? 'HEAD' : 'GET'));
    try {
      return parseResponses(received, methods);
    } catch (error) {
      if (!mayHoldHead || guess === 255) throw error;
    }
  }
}

async function tryApplication({ port }) {
  const size = () => random.pick([0, 0, 1, 10, 1000, 16_384, 16_385, 70_000, 140_000, 300_000]);
  const list = (most) => Array.from({ length: random.below(most + 1) }, size);
  const plan = {
    kind: random.pick(['list', 'generator']),
    status: random.pick(['200 OK', '404 Not Found', '500 Own Error', ...BODILESS]),
    lazy: random.chance(0.5),
    declares: random.chance(0.4),
    writes: list(2),
    blocks: list(4),
    reads: random.pick([0, 5, 'all']),
  };
  const method = random.pick(['GET', 'POST', 'HEAD']);
  const body = 'r'.repeat(method === 'POST' ? size() : 0);
  const chunked = body !== '' && random.chance(0.5);
  const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
  const payload = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
  const version = random.chance(0.2) ? '1.0' : '1.1';
  if (chunked && version === '1.0') return;
  counts.applications += 1;
  const request = `${method} /?${encodeURIComponent(JSON.stringify(plan))} HTTP/${version}\r\nHost: a\r\nConnection: close\r\n${framing}\r\n\r\n${payload}`;
  const received = await converse(port, request);
  const expected =
    BODILESS.includes(plan.status) || method === 'HEAD'
      ? ''
      : (plan.kind === 'list' ? '' : plan.writes.map((count) => 'w'.repeat(count)).join('')) +
        plan.blocks.map((count) => 'b'.repeat(count)).join('');
  const responses = parseResponses(received, [method]).filter(({ status }) => status >= 200);
  const [response] = responses;
  if (
    responses.length !== 1 ||
    response.status !== Number(plan.status.slice(0, 3)) ||
    response.body !== expected
  ) {
    throw new Error(
      `${responses.length} answers, status ${response?.status}, ${response?.body.length} bytes instead of ${expected.length} to ${method} HTTP/${version} ${JSON.stringify(plan)}`,
    );
  }
}

/** Until every connection that the server still closes by a time-out is closed. */
async function settle() {
  for (const { port } of servers)
    await converse(
      port,
      'GET /?%7B%22kind%22%3A%22list%22%2C%22status%22%3A%22200%20OK%22%2C%22blocks%22%3A%5B1%5D%2C%22writes%22%3A%5B%5D%7D HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
  await new Promise((resolve) => setTimeout(resolve, 4000));
}

function measure({ child }) {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return {
    megabytes: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024),
    descriptors: readdirSync(`/proc/${child.pid}/fd`).length,
  };
}
