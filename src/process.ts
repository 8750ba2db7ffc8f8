/** Main thread of a process under the supervisor: one acceptor with its pool. */
import cluster from 'node:cluster';
import { LidoError, toPayload } from './contract/errors.js';
import { createLog, type Log } from './log.js';
import { endPython, exitPastPython } from './python/host.js';
import type { FromProcess, ToProcess } from './server/process-messages.js';
import { createServer, type Server } from './server/server.js';
import type { Settings } from './settings/resolve.js';

process.once('message', ([, settings]: Extract<ToProcess, readonly ['start', ...unknown[]]>) =>
  serve(settings),
);
void post(['up']);

async function serve(settings: Settings): Promise<void> {
  const log = createLog(settings);
  const server = createServer(settings, { log });
  const stop = createStop(server, settings, log);
  process.on('message', ([kind]: ToProcess) => {
    if (kind === 'stop') stop();
    else if (kind === 'look') void post(['seen', server.inspect()]);
  });
  // A terminal and systemd signal the whole group, supervisor and processes, so a second one means nothing here.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  // They are the supervisor's to follow, which a terminal's end and `kill -- -GROUP` do not know.
  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => {});
  cluster.worker?.on('disconnect', () => {
    // Or node:cluster exits at once, with what runs.
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
    log.warn('the supervisor is gone: finishing what runs');
    stop();
  });
  try {
    await server.listen();
  } catch (error) {
    if (!(error instanceof LidoError)) throw error;
    await post(['failed', toPayload(error)]);
    process.exit(error.exit ?? 1);
  }
  await post(['ready', server.describe()]);
}

/** Drains the server and ends the process, once however often it is called. */
function createStop(server: Server, { gracefulTimeout }: Settings, log: Log): () => void {
  let stopping = false;
  return () => {
    if (stopping) return;
    stopping = true;
    const deadline = performance.now() + gracefulTimeout * 1000;
    void server.close().then(async (ended) => {
      await post(['seen', server.inspect()]);
      if (!ended || !(await endPython(deadline - performance.now(), log))) await exitPastPython(0);
      process.exit(0);
    });
  };
}

/** Resolves when the message is on its way; a supervisor that is gone is dealt with above. */
function post(message: FromProcess): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, {}, () => resolve());
  });
}
