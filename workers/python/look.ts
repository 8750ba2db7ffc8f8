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
