/** Main thread. Where the workers of all processes stand ► lines for people. Pure. */
import { escapeControls } from '../log.js';
import type { OtherThread, PlacedRequest, ProcessStacks, WorkerStack } from './stacks.js';

/** By the processes' numbers; null for one that did not answer. */
export type Stacks = ReadonlyMap<number, ProcessStacks | null>;

const NO_ANSWER = 'no answer: its main thread is busy, or stuck';
const GIL_IS_KEPT =
  'C code has kept the GIL for a second: one of these threads is in it, the others wait for it or are elsewhere';

export function formatStacks(stacks: Stacks): string {
  return [...stacks].map(([number, process]) => formatProcess(number, process)).join('\n');
}

function formatProcess(number: number, process: ProcessStacks | null): string {
  if (process === null) return `process ${number}: ${NO_ANSWER}\n`;
  const { pid, isGilKept, workers, threads } = process;
  const parts = [
    `process ${number} (pid ${pid})${isGilKept ? `: ${GIL_IS_KEPT}` : ''}\n`,
    ...workers.map(formatWorker),
    ...threads.map(formatThread),
  ];
  return parts.join('');
}

function formatWorker({ mount, id, running, stack, reason }: WorkerStack): string {
  const name = `  worker ${id} of ${escapeControls(mount)}`;
  // Requests that run at once stand each at a place of its own, or nobody knows which of them the thread's is of.
  const [only] = running.length === 1 && running[0]?.stack === '' ? running : [];
  const head = only === undefined ? name : `${name}: ${formatRequest(only)}`;
  const place = stack === '' ? `${head}: ${reason}\n` : `${head}\n${formatStack(stack)}`;
  return only === undefined ? place + running.map(formatPlaced).join('') : place;
}

function formatPlaced(request: PlacedRequest): string {
  return `    ${formatRequest(request)}\n${request.stack === '' ? '' : formatStack(request.stack)}`;
}

function formatRequest({ method, url, requestId, ageMs, isAnswered }: PlacedRequest): string {
  const age = isAnswered ? ', which is answered' : ` for ${(ageMs / 1000).toFixed(1)} s`;
  return escapeControls(`${method} ${url} [${requestId}]${age}`);
}

function formatThread({ name, stack }: OtherThread): string {
  return `  thread ${name === '' ? 'without a name' : escapeControls(name)}\n${formatStack(stack)}`;
}

function formatStack(stack: string): string {
  const rows = stack.trimEnd().split('\n');
  return rows.map((row) => `    ${escapeControls(row)}\n`).join('');
}
