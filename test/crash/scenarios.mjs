// What is done to a server that runs Python in its threads. Each ends well, or throws what went wrong; what it resolves
// with is said beside "ok": that Python refuses what was asked, or how much memory it took.
import { doesNotMatch, equal, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { Server } from './server.mjs';

const CLIENTS = 8;
/** Well below one leaked environ a call, well above the noise of two garbage collectors. MB. */
const NOISE_MB = 24;

/** Requests whose server is told to stop in the middle of them, and that no time-out ends. */
const stops = {
  'in a loop': head('loops'),
  'in C, without the GIL': head('waits'),
  'in C, with the GIL': head('keeps_the_gil?3600'),
  'while a body is read': `${head('reads', 'POST', 'Content-Length: 1000000\r\n')}${'b'.repeat(70_000)}`,
  'while a body is sent': head('streams'),
  'in close()': head('loops_in_close'),
};

/** Requests that a time-out does not end: their server is told to stop once it has given them up. */
const stopsAfterTimeout = {
  'a loop that goes on': 'loops_for_good',
  'C, without the GIL,': 'waits',
  'C, with the GIL,': 'keeps_the_gil?3600',
};

export const scenarios = [
  ['stop while idle', (way) => serve(way, {}, () => {})],
  ...Object.entries(stops).map(([where, bytes]) => [`stop ${where}`, (way) => stopDuring(way, bytes)]),
  ...Object.entries(stopsAfterTimeout).map(([where, path]) => [
    `stop in ${where} after its time-out`,
    (way) => serve(way, { timeout: 0.5 }, async (server) => equal((await server.ask(path)).status, 504)),
  ]),
  ['stuck in C, with the GIL: ends by itself', endStuck],
  ['stop while it is imported', stopDuringImport],
  ['stop twice in C, with the GIL', stopTwice],
  attack('time-outs of loops', async (server) => {
    for (let count = 0; count < 5; count += 1) equal((await server.ask('loops')).status, 504);
  }),
  attack('time-outs in close()', async (server) => {
    for (let count = 0; count < 3; count += 1) equal((await server.ask('loops_in_close')).text, 'closing');
  }),
  attack('time-outs in C, without the GIL', async (server) => {
    for (let count = 0; count < 3; count += 1) equal((await server.ask('waits')).status, 504);
  }),
  // Not so long that Python would be held for stuck.
  attack('the GIL kept for 2 s', async (server) => equal((await server.ask('keeps_the_gil?2')).status, 504)),
  attack('200 clients that leave', async (server) => {
    for (let count = 0; count < 200; count += 1) {
      const client = server.open(head('streams'));
      await once(client, 'data');
      client.destroy();
    }
  }),
  use('recursion in Python', 'recurses', '500 Internal Server Error\n'),
  use('recursion in C', 'recurses_in_c', 'stopped'),
  use('sys.exit()', 'exits', '500 Internal Server Error\n'),
  use('signal.signal()', 'handles_signals', 'ignored'),
  use('threads at the end', 'leaves_threads', 'left'),
  use('os.fork()', 'forks', '3', 'refused'),
  use('subprocess', 'runs_a_command', 'said'),
  use('multiprocessing, fork', 'maps_in_processes?fork', '[1, 2]', 'refused'),
  use('multiprocessing, spawn', 'maps_in_processes?spawn', '[1, 2]'),
  use('faulthandler', 'dumps_tracebacks', 'dumped', 'refused'),
  use('atexit', 'registers_an_exit_handler', 'registered'),
];

/** Resolves with the memory after the first half of the calls and after all. */
export async function repeatCalls(way, calls) {
  let result = '';
  await serve(way, {}, async (server) => {
    await callRepeatedly(server, calls / 2);
    const half = server.memory;
    await callRepeatedly(server, calls / 2);
    const whole = server.memory;
    result = `${half} → ${whole} MB`;
    ok(whole - half < NOISE_MB, result);
  });
  return result;
}

function head(path, method = 'GET', fields = '') {
  return `${method} /${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
}

/** A server that must end with 0 when it is told to, after what is done to it. */
async function serve(way, options, act) {
  const server = await new Server(way, options).start();
  try {
    const result = await act(server);
    equal(await server.stop(), 0);
    // Of forked children too, which run no exit handler: that is for the server's end alone.
    doesNotMatch(server.stderr, /Fatal Python error|an exit handler ran[\s\S]*an exit handler ran/);
    return result;
  } finally {
    await server.kill();
  }
}

/** Something that time-outs end, and after which the server goes on. */
function attack(name, act) {
  const run = (way) =>
    serve(way, { timeout: 0.5 }, async (server) => {
      await act(server);
      await server.untilServing();
    });
  return [name, run];
}

/** One request, after which the server goes on. */
function use(name, path, expected, isolated = expected) {
  const run = (way) =>
    serve(way, {}, async (server) => {
      const { text } = await server.ask(path);
      equal(text, way.interpreter === 'isolated' ? isolated : expected);
      await server.untilServing();
      return text === 'refused' ? text : undefined;
    });
  return [name, run];
}

function stopDuring(way, bytes) {
  return serve(way, {}, async (server) => {
    const client = server.open(bytes);
    // What sends something is stopped in the middle of that.
    if (/streams|close/.test(bytes)) await once(client, 'data');
    await server.waitFor('began');
  });
}

/** Nobody replaces it, so it says where it stands, and ends for another to be started. */
async function endStuck(way) {
  const server = await new Server(way, { timeout: 0.5 }).start();
  try {
    equal((await server.ask('keeps_the_gil?3600')).status, 504);
    equal(await server.ended, 1);
    ok(server.stderr.includes('Python is stuck: a call into C keeps the GIL'));
  } finally {
    await server.kill();
  }
}

async function stopDuringImport(way) {
  const server = new Server(way, {}, 'imports_slowly.py');
  try {
    await server.waitFor('importing');
    equal(await server.stop(), 0);
  } finally {
    await server.kill();
  }
}

/** The second signal ends it at once, without the graceful time-out. */
async function stopTwice(way) {
  const server = await new Server(way, { gracefulTimeout: 3600 }).start();
  try {
    server.open(stops['in C, with the GIL']);
    await server.waitFor('began');
    const ended = server.stop();
    await server.waitFor('SIGTERM: finishing what runs');
    await server.stop();
    equal(await ended, 'SIGTERM');
  } finally {
    await server.kill();
  }
}

/** All answers are of one length, so that counting bytes counts answers. */
async function callRepeatedly(server, calls) {
  const bytes = head('hello');
  const probe = server.open(bytes);
  const [{ length }] = await once(probe, 'data');
  probe.destroy();
  const client = async () => {
    const socket = server.open(bytes);
    let left = (calls / CLIENTS) * length;
    for await (const data of socket) {
      left -= data.length;
      if (left <= 0) break;
      if (left % length === 0) socket.write(bytes);
    }
    equal(left, 0);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}
