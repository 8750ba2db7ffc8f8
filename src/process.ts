/** Main thread of a process under the supervisor: one acceptor with its pool. Loaded by process-entry.ts, which has begun with it. */
import { Socket } from 'node:net';
import { describe, fromPayload, LidoError, toPayload } from './contract/errors.js';
import { lull } from './http/wire/lull.js';
import { capturesOutput, createLog, type Log, moveDescriptors } from './log.js';
import { outliveReaders } from './log-output.js';
import type { Question } from './observe/questions.js';
import { rememberProbes } from './python/find.js';
import { endPython, exitPastPython, onStuckPython } from './python/host.js';
import { LoadedFiles } from './server/development/loaded-files.js';
import type { ListeningHandle } from './server/listening.js';
import { onLostHandle } from './server/lost-handles.js';
import type { FromProcess, ProcessStart, ToProcess } from './server/process-messages.js';
import { PROCESS_DESCRIPTORS } from './server/process-output.js';
import { reportRegularly } from './server/process-report.js';
import { replaceEnvironment } from './server/replace-environment.js';
import { createServer, type Server } from './server/server.js';
import { Siblings } from './server/siblings.js';
import { endUncaught } from './server/uncaught.js';
import type { Hooks } from './settings/hooks.js';
import type { Settings } from './settings/resolve.js';

/** Listening sockets that came before the start, by the index of their addresses. */
const sockets: ListeningHandle[] = [];
/** Where the supervisor puts the file of vacancies: behind the standard streams and its channel. */
const VACANCY_FD = 4;
/** Connections that were given to this process so far. */
let taken = 0;

/** What there is to do once the supervisor is gone: before the server is there, nothing but to end. */
let loseSupervisor: () => void = () => void exitPastPython(0);

process.once('disconnect', () => loseSupervisor());
process.on('message', (message: ToProcess, handle: unknown) => {
  if (message[0] === 'listen') sockets[message[1]] = handle as ListeningHandle;
  else if (message[0] === 'start') void serve(message[1]);
});

async function serve({
  settings,
  probes,
  hookFile,
  place,
  failure,
  environment,
}: ProcessStart): Promise<void> {
  replaceEnvironment(environment);
  outliveReaders();
  if (capturesOutput(settings)) moveDescriptors(PROCESS_DESCRIPTORS);
  rememberProbes(probes);
  const log = createLog(settings);
  endUncaught(log);
  const hooks = hookFile === null ? undefined : await loadHooks(hookFile);
  const siblings = place === null ? null : await meetSiblings(place, () => server);
  const server = createServer(settings, { log, hooks, siblings });
  const stop = createStop(server, siblings, settings, log);
  process.on('message', (message: ToProcess, handle: unknown) => {
    if (message[0] === 'stop') stop(message[1]);
    else if (message[0] === 'look') void post(['seen', server.inspect()]);
    else if (message[0] === 'ask') void answer(server, log, message[1], message[2]);
    else if (message[0] === 'leave') server.leave();
    else if (message[0] === 'reopen') server.reopenLogs();
    else if (message[0] === 'broken') server.showFailure(fromPayload(message[1]));
    else if (message[0] === 'connection') takeConnection(server, message, handle);
    else if (message[0] === 'left') siblings?.letGo(message[1]);
    else if (message[0] === 'stays') siblings?.takeBack(message[1]);
  });
  onLostHandle(process, () => siblings?.lose());
  loseSupervisor = () => {
    log.warn('the supervisor is gone: finishing what runs');
    siblings?.takeAllBack();
    stop(true);
  };
  const files = settings.reload ? new LoadedFiles((list, since) => void post(['files', list, since])) : null;
  try {
    const own = settings.bind.map((_, index) => sockets[index] ?? 'given');
    await server.serve(own, failure === null ? null : fromPayload(failure));
    await files?.finish();
  } catch (error) {
    if (error instanceof LidoError) await files?.fail(error);
    await failStart(error);
  }
  await post(['ready', server.describeApplications()]);
  await onStuckPython(({ message }) => void post(['stuck', message]));
  reportRegularly(
    server,
    settings,
    () => taken,
    (message) => void post(message),
  );
}

async function answer(server: Server, log: Log, token: number, question: Question): Promise<void> {
  const answer = await server.answer(question).catch((error: unknown) => {
    log.error({ err: error }, `this could not be answered: ${question[0]}: ${describe(error)}`);
    return null;
  });
  await post(['answer', token, answer]);
}

/** Only who has hooks pays for what reads a config file. A file that cannot be read any more is a start that failed. */
async function loadHooks(file: string): Promise<Hooks> {
  const { loadConfig } = await import('./settings/config-file.js');
  try {
    return (await loadConfig(file)).hooks.hooks;
  } catch (error) {
    return await failStart(error);
  }
}

async function failStart(error: unknown): Promise<never> {
  if (!(error instanceof LidoError)) throw error;
  await post(['failed', toPayload(error)]);
  // Not by process.exit(), which waits for a thread that is still in the midst of an import.
  await exitPastPython(error.exit ?? 1);
  throw error;
}

/** What left comes back to the server where nobody else has it. */
function meetSiblings(place: number, findServer: () => Server): Promise<Siblings | null> {
  return Siblings.meet(VACANCY_FD, place, {
    post: (message, socket, failed) => {
      if (!process.connected) failed();
      else process.send?.(message, socket, { keepOpen: true }, (error) => error !== null && failed());
    },
    takeBack: ({ address, socket, luggage }) => findServer().takeBack(address, socket, luggage),
  });
}

/**
 * Node's channel hands over one socket in a turn of the event loop, and a turn takes as long as to answer one request of every
 * busy connection: of a thousand clients that connect at once, the last would wait for seconds while the first are served. From
 * so many on that wait they go first.
 */
const CROWD = 16;

/** A client that went away meanwhile leaves nothing to take. */
function takeConnection(
  server: Server,
  [, index, id, luggage, behind]: Extract<ToProcess, readonly ['connection', ...unknown[]]>,
  socket: unknown,
): void {
  if (behind >= CROWD) lull.begin();
  else if (behind === 0) lull.end();
  // Told before it is served: whoever ends amid a request must not leave it to another process, too.
  taken = id;
  void post(['taken', id]);
  if (!(socket instanceof Socket)) return;
  socket.allowHalfOpen = true;
  server.take(index, socket, luggage);
  // Told at once: the next connection is best given to a process that has nothing to do.
  socket.once('close', () => {
    if (server.connections === 0) void post(['report', { connections: 0, taken, isOccupied: false }]);
  });
}

/** Drains the server and ends the process, once however often it is called. */
function createStop(
  server: Server,
  siblings: Siblings | null,
  { gracefulTimeout }: Settings,
  log: Log,
): (isLast: boolean) => void {
  let stopping = false;
  return (isLast) => {
    if (stopping) return;
    stopping = true;
    siblings?.close();
    const deadline = performance.now() + gracefulTimeout * 1000;
    void server.end(isLast).then(async (ended) => {
      await post(['seen', server.inspect()]);
      if (!ended || !(await endPython(deadline - performance.now(), log))) await exitPastPython(0);
      process.exit(0);
    });
  };
}

/** Resolves when the message is on its way; a supervisor that is gone is dealt with above. */
function post(message: FromProcess): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send?.(message, undefined, {}, () => resolve());
  });
}
