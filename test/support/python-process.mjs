// A process of its own with one Python: the host, and as many worker threads as are asked for, spoken to over IPC.
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { MessageChannel, Worker } from 'node:worker_threads';
import {
  ACKED,
  ASKED,
  allocateControl,
  CLOSING,
  FOUND_FREE,
  GONE,
  HEARD,
  KEYS_END,
  MANNER,
  OFFER,
  REQUESTS_FREED,
  REQUESTS_WRITTEN,
  SLEEPING,
  SLOT_BITS,
  signal,
  slotWord,
} from '../../dist/src/contract/protocol.js';
import {
  BODIES_SIZE,
  FILED_REQUEST,
  REQUEST,
  REQUESTS_SIZE,
  RingWriter,
  STREAMED_REQUEST,
} from '../../dist/src/contract/ring.js';
import { Alarm } from '../../dist/src/dispatch/alarm.js';
import { BodyChannel } from '../../dist/src/dispatch/body-channel.js';
import { RingReader } from '../../dist/src/dispatch/ring-reader.js';
import { findPython } from '../../dist/src/python/find.js';
import { startPythonHost } from '../../dist/src/python/host.js';

const ENTRY = new URL('./worker-entry.mjs', import.meta.url);

const OUTPUT = { isCaptured: false, logFd: 2 };

/** Workers by the number that the test gave them. */
const sessions = new Map();
let python = null;
let host = null;
/** While requests are repeated their messages are not reported: the queue to the parent would be what grows. */
let quiet = false;

const commands = {
  async load({ named, folder }) {
    python = await findPython(named, folder);
    host = await startPythonHost(python, OUTPUT);
    return python;
  },

  /** Starts a worker; resolves with its 'ready' or 'failed' message. */
  async open({ session, application, settings }) {
    const spec = {
      runtime: 'cpython',
      interpreter: 'shared',
      interface: 'auto',
      loop: 'auto',
      spec: application.module,
      callable: null,
      python,
      ...application,
    };
    try {
      Object.assign(spec, await host.load(spec, { warn: (text) => process.stderr.write(`${text}\n`) }));
    } catch ({ code, message, traceback }) {
      return ['failed', { code, message, traceback }];
    }
    const requests = new MessageChannel();
    const bodies = new MessageChannel();
    const control = allocateControl(1);
    const answers = new RingReader(control, null);
    const inward = {
      requests: new SharedArrayBuffer(REQUESTS_SIZE),
      bodies: new SharedArrayBuffer(BODIES_SIZE),
    };
    const start = {
      requests: requests.port2,
      bodies: bodies.port2,
      control,
      rings: { answers: answers.memory, ...inward },
      settings: {
        constants: { SERVER_SOFTWARE: 'lido/test' },
        multithread: true,
        multiprocess: false,
        runOnce: false,
        debug: false,
        validate: false,
        timeout: 30,
        output: OUTPUT,
        concurrency: 1,
        tellsManner: true,
        waker: host.waker.rope,
        ...settings,
        application: spec,
      },
    };
    const worker = new Worker(ENTRY, { workerData: start, transferList: [requests.port2, bodies.port2] });
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      const state = {
        requests: requests.port1,
        bodies: bodies.port1,
        control,
        requestRing: new RingWriter(inward.requests, control, {
          written: REQUESTS_WRITTEN,
          freed: REQUESTS_FREED,
        }),
        channel: new BodyChannel(bodies.port1, inward.bodies, control),
        alarm: new Alarm(control),
        exited,
        target: null,
        pending: null,
      };
      sessions.set(session, state);
      const deliver = () =>
        answers.deliver((answer, giveBack) => {
          receive(state, copy(answer));
          giveBack?.();
        });
      host.waker.onWake(deliver);
      requests.port1.on('message', (message) => {
        if (message[0] === 'ready') {
          state.target = message[3];
          state.alarm.open(message[4]);
        }
        if (message[0] === 'ready' || message[0] === 'failed') resolve(message);
        deliver();
        if (!['ready', 'failed', 'answers'].includes(message[0])) receive(state, message);
      });
    });
  },

  /** Sends a request; resolves with every message that the worker sent for it, the final one last. */
  request({
    session,
    id,
    environ,
    body = '',
    file,
    chunks = [],
    holdAcks = false,
    goneAfter = 0,
    isGone = false,
  }) {
    const state = sessions.get(session);
    if (isGone) Atomics.store(state.control, slotWord(0, GONE), id << SLOT_BITS);
    Atomics.store(state.control, slotWord(0, ACKED), 0);
    Atomics.store(state.control, slotWord(0, OFFER), id << SLOT_BITS);
    const result = new Promise((resolve) => {
      state.pending = { id, messages: [], chunks: [...chunks], holdAcks, goneAfter, blocks: 0, resolve };
    });
    const keys = Object.keys(environ).join('\0');
    const values = Object.values(environ).join('\0');
    const wire = `${keys}${KEYS_END}${values}`;
    if (file !== undefined) {
      const fd = file === -1 ? -1 : openSync(file, 'r');
      state.requestRing.put(FILED_REQUEST, id << SLOT_BITS, wire, String(fd));
      state.alarm.wake();
      return result.finally(() => fd === -1 || closeSync(fd));
    }
    const kind = body === null ? STREAMED_REQUEST : REQUEST;
    state.requestRing.put(kind, id << SLOT_BITS, wire, body ?? '');
    state.alarm.wake();
    return result;
  },

  interrupt({ session, id }) {
    return host.interrupt(sessions.get(session).target, id << SLOT_BITS);
  },

  gone({ session, id }) {
    const { control } = sessions.get(session);
    Atomics.store(control, slotWord(0, GONE), id << SLOT_BITS);
    signal(control, 0);
  },

  manner({ session }) {
    return Atomics.load(sessions.get(session).control, slotWord(0, MANNER));
  },

  askForGil({ session }) {
    const { control, alarm } = sessions.get(session);
    Atomics.add(control, ASKED, 1);
    alarm.wake();
  },

  hasHadGil({ session }) {
    const { control } = sessions.get(session);
    return Atomics.load(control, HEARD) === Atomics.load(control, ASKED);
  },

  foundGilFree({ session }) {
    const { control } = sessions.get(session);
    return Atomics.load(control, FOUND_FREE) === Atomics.load(control, ASKED);
  },

  place({ session }) {
    return Atomics.load(sessions.get(session).control, SLEEPING);
  },

  async close({ session }) {
    const state = sessions.get(session);
    Atomics.store(state.control, CLOSING, 1);
    state.alarm.wake();
    await state.exited;
    state.requests.close();
    state.bodies.close();
    state.alarm.close();
    sessions.delete(session);
  },

  /** Sends the same request `count` times, one after the other; resolves with the memory in use before and after. */
  async repeat({ session, count, warmUp, ...request }) {
    quiet = true;
    for (let id = 1; id <= warmUp; id += 1) await commands.request({ ...request, session, id });
    const before = process.memoryUsage.rss();
    const start = process.hrtime.bigint();
    for (let id = 1; id <= count; id += 1) await commands.request({ ...request, session, id });
    const microseconds = Number(process.hrtime.bigint() - start) / 1000 / count;
    quiet = false;
    return { before, after: process.memoryUsage.rss(), microseconds };
  },

  /** How many descriptors of this file are open. */
  descriptors({ file }) {
    return readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === file;
      } catch {
        return false;
      }
    }).length;
  },

  exit({ code }) {
    process.exit(code);
  },
};

/** As the test knows it: with its own id, and a block of its own. */
function copy([kind, id, ...rest]) {
  const details = rest.map((value) => (value instanceof Uint8Array ? new Uint8Array(value) : value));
  return [kind, id >> SLOT_BITS, ...details];
}

function receive(state, message) {
  const { pending } = state;
  if (message[0] === 'log' && (pending === null || message[1] !== pending.id)) {
    process.send({ event: 'log', message });
    return;
  }
  if (!quiet) process.send({ event: 'message', message: message.slice(0, 2) });
  pending.messages.push(message);
  const [kind, id] = message;
  if (kind === 'read') feed(state, id);
  if (kind === 'credit' && state.channel.flush()) signal(state.control, 0);
  if (kind === 'head' || kind === 'block') acknowledge(state, message.at(-1).length);
  if (kind === 'response' || kind === 'end' || kind === 'fail') {
    state.pending = null;
    pending.resolve(pending.messages);
  }
}

function feed(state, id) {
  for (const chunk of state.pending.chunks) {
    if (chunk === 'gone') {
      commands.gone({ session: [...sessions].find(([, value]) => value === state)[0], id });
      return;
    }
    state.channel.send(id << SLOT_BITS, Buffer.from(chunk));
    signal(state.control, 0);
  }
  state.channel.send(id << SLOT_BITS, null);
  signal(state.control, 0);
}

function acknowledge(state, bytes) {
  const { pending } = state;
  pending.blocks += 1;
  if (pending.goneAfter > 0 && pending.blocks >= pending.goneAfter) {
    Atomics.store(state.control, slotWord(0, GONE), pending.id << SLOT_BITS);
    signal(state.control, 0);
    return;
  }
  if (pending.holdAcks) return;
  Atomics.add(state.control, slotWord(0, ACKED), bytes);
  signal(state.control, 0);
}

process.on('message', async ({ token, command, details }) => {
  try {
    process.send({ token, result: await commands[command](details) });
  } catch (error) {
    process.send({ token, error: { code: error.code, message: error.message, traceback: error.traceback } });
  }
});

// The test that started this process is gone. process.exit() would wait for a worker that is inside Python.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
