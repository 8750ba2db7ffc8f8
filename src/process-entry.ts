/**
 * Main thread. Where a process under the supervisor begins: Python starts in its thread while this one loads what serves, which
 * takes as long.
 */
import type { EventEmitter } from 'node:events';
import { servesPython } from './application/find.js';
import { findPython, rememberProbes } from './python/find.js';
import { exitPastPython, prepareHost, startPythonHost } from './python/host.js';
import type { FromProcess, ProcessStart, ToProcess } from './server/process-messages.js';
import { replaceEnvironment } from './server/replace-environment.js';
import { expandMounts } from './settings/mounts.js';

const STANDARD_ERROR = 2;

type Received = readonly [message: ToProcess, handle: unknown];

const received: Received[] = [];
const receive = (message: ToProcess, handle: unknown): void => {
  received.push([message, handle]);
  if (message[0] === 'prepare') prepareHost();
  else if (message[0] === 'start') void startPython(message[1]);
};
const tellBegun = (message: ToProcess): void => {
  if (message[0] !== 'start') return;
  process.off('message', tellBegun);
  process.send?.(['begun'] satisfies FromProcess, undefined, {}, () => {});
};
// Not by process.exit(), which waits for a thread that is inside Python.
const end = (): void => void exitPastPython(0);

process.on('message', receive).on('message', tellBegun).once('disconnect', end);
// It may have gone while nobody listened, and what it sent before comes all the same.
if (!process.connected) end();
// A terminal and systemd signal the whole group, supervisor and processes: it is the supervisor that follows.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
  process.on(signal, () => {});

void import('./process.js').then(() => {
  process.off('message', receive).off('disconnect', end);
  for (const each of received) (process as EventEmitter).emit('message', ...each);
});

/** What cannot be found or started is asked for again, by whoever starts the application and says what is wrong. */
async function startPython({ settings, probes, environment, failure }: ProcessStart): Promise<void> {
  replaceEnvironment(environment);
  rememberProbes(probes);
  const [, first] = expandMounts(settings).find(([, own]) => servesPython(own)) ?? [];
  if (first === undefined || failure !== null || Object.keys(probes).length === 0) return;
  // What an application prints goes into a log of JSON, by descriptors that process.ts knows.
  if (settings.captureOutput && settings.logFormat === 'json') return;
  await findPython(first.python, process.cwd())
    .then((python) => startPythonHost(python, { isCaptured: false, logFd: STANDARD_ERROR }))
    .catch(() => {});
}
