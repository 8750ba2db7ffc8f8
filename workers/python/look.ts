// A thread of its own. Looks where the threads of one interpreter stand.
import { parentPort, workerData } from 'node:worker_threads';
import { describe } from '../../src/contract/errors.js';
import type { LookMessage, LookRequest, LookStart, PythonThread } from '../../src/contract/protocol.js';
import { IMPORT_GATEWAY } from './gateway-code.js';
import { openLibpython, type Pointer } from './libpython.js';

/** It ends when nobody has asked for so long. Milliseconds. */
const IDLE_MS = 10_000;

const TELL = `${IMPORT_GATEWAY}
stacks = part('.stacks')
result = stacks.tell(frames)
frames.clear()
`;

/** Without a GIL threads go on while they are looked at; Python itself stops them all for a moment. */
const COLLECT_ALL = `${IMPORT_GATEWAY}
frames = part('.stacks').collect_all()
`;

const SAMPLE_EACH_MS = 10;

const PREPARE_PROFILE = `${IMPORT_GATEWAY}
sampler = part('.profiler').Sampler(int(wanted))
collect_all = part('.stacks').collect_all
frames = None
def sample():
    global frames
    sampler.sample(collect_all() if frames is None else frames)
    frames = None
`;

const { installation, state } = workerData as LookStart;
const python = openLibpython(installation);
const interpreter = state === 0 ? python.mainInterpreter() : python.interpreterOf(state);
const thread = python.newThread(interpreter);
let isProtected = false;

const idle = setTimeout(leave, IDLE_MS);
parentPort?.on('message', (request: LookRequest) => {
  switch (request[0]) {
    case 'stacks':
      post(['asking']);
      post(withGil(tellStacks));
      break;
    case 'profile':
      post(profile(request[1], request[2], request[3]));
  }
  idle.refresh();
});

function tellStacks(): LookMessage {
  try {
    return ['stacks', readStacks()];
  } catch (error) {
    return ['failed', describe(error)];
  }
}

/** Takes the GIL a hundred times a second, each time for as long as it takes to read the frames. */
function profile(seconds: number, worker: number, stop: Int32Array): LookMessage {
  const namespace = withGil(() => {
    const made = python.newNamespace();
    python.setText(made, 'wanted', String(worker));
    if (!python.runCode(PREPARE_PROFILE, made)) throw new Error(python.takeError());
    return made;
  });
  const end = performance.now() + seconds * 1000;
  // Not at even intervals, with which an application might keep step.
  while (performance.now() < end) {
    if (Atomics.wait(stop, 0, 0, SAMPLE_EACH_MS * (0.5 + Math.random())) !== 'timed-out') break;
    withGil(() => {
      if (!installation.freeThreaded) python.setAndDrop(namespace, 'frames', collectFrames());
      const done = python.callNoArguments(python.getItem(namespace, 'sample'));
      if (done === 0) throw new Error(python.takeError());
      python.decref(done);
    });
  }
  return withGil(() => {
    if (!python.runCode('result = sampler.tell()\n', namespace)) throw new Error(python.takeError());
    const text = python.asText(python.getItem(namespace, 'result')) ?? '';
    python.decref(namespace);
    return ['profile', text];
  });
}

function post(message: LookMessage): void {
  parentPort?.postMessage(message);
}

/** Drops the thread state, in which Python must not be entered any more. */
function leave(): void {
  parentPort?.close();
  withGil(() => python.clearThread(thread), python.deleteCurrentThread);
}

/** Waits for as long as the GIL is kept; whoever asked does not. */
function withGil<T>(act: () => T, release: () => unknown = python.release): T {
  python.acquire(thread);
  if (!isProtected) python.protectStack(thread);
  isProtected = true;
  try {
    return act();
  } finally {
    release();
  }
}

function readStacks(): readonly PythonThread[] {
  const namespace = python.newNamespace();
  if (!installation.freeThreaded) python.setAndDrop(namespace, 'frames', collectFrames());
  try {
    if (!python.runCode(installation.freeThreaded ? COLLECT_ALL + TELL : TELL, namespace))
      throw new Error(python.takeError());
    return JSON.parse(python.asText(python.getItem(namespace, 'result')) ?? '[]') as PythonThread[];
  } finally {
    python.decref(namespace);
  }
}

/** sys._current_frames() makes frames for the threads of all interpreters, with the memory of this one. */
function collectFrames(): Pointer {
  const frames = python.newDict();
  for (let each = python.firstThread(interpreter); each !== 0; each = python.nextThread(each)) {
    const frame = each === thread ? 0 : python.frameOf(each);
    if (frame !== 0) python.setAndDrop(frames, String(each), frame);
  }
  return frames;
}
