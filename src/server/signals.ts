/** Main thread. What the command does on signals: what people know from gunicorn. */
import { constants } from 'node:os';
import type { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { Operated } from './operated.js';
import { reloadAndTell } from './reloading.js';

/**
 * TERM and INT finish what runs, then exit with 0; a second one, and QUIT, end all at once. HUP loads settings and
 * application anew, TTIN and TTOU start a process more and end one, USR1 opens log files anew, USR2 lets the command be
 * started anew. WINCH does nothing.
 */
export function followSignals(
  served: Pick<Operated, 'reload' | 'rereadsSettings' | 'reopenLogs' | 'scale' | 'kill' | 'startSuccessor'>,
  { stop, upgrade }: SignalActions,
  log: Log,
): void {
  endOnSignals(stop, () => served.kill?.(), log);
  let isUpgrading = false;
  process.on('SIGUSR2', async () => {
    if (isUpgrading) {
      log.info('SIGUSR2: the command is being started anew already');
      return;
    }
    isUpgrading = true;
    await startAnew(served, upgrade, log);
    isUpgrading = false;
  });
  process.on('SIGHUP', () => {
    log.info('SIGHUP: loading the application anew');
    void reloadAndTell(served, log);
  });
  // Unheeded, it would open Node's inspector.
  process.on('SIGUSR1', () => served.reopenLogs());
  for (const [signal, by] of [
    ['SIGTTIN', 1],
    ['SIGTTOU', -1],
  ] as const)
    process.on(signal, () => changeNumber(served, signal, by, log));
}

/** What a signal asks of the service as a whole. */
export interface SignalActions {
  readonly stop: (signal: string) => Promise<void>;
  /** Resolves when another has taken the place of this process; rejects with a LidoError where none can. */
  readonly upgrade: () => Promise<void>;
}

/** Ends this process where another has taken its place; resolves where none has. */
async function startAnew(
  served: Pick<Operated, 'startSuccessor'>,
  upgrade: SignalActions['upgrade'],
  log: Log,
): Promise<void> {
  if (served.startSuccessor === undefined) {
    log.warn('SIGUSR2: the command is exchanged under a supervisor only: start with --supervise');
    return;
  }
  if (process.pid === 1) {
    log.warn('SIGUSR2: a container ends with its first process, which this is: start another container');
    return;
  }
  log.info('SIGUSR2: starting the command anew');
  await upgrade().then(
    () => process.exit(0),
    ({ code, message }: LidoError) => {
      if (code === 'LIDO_SHUTTING_DOWN') log.info('SIGUSR2: none follows, for this process is ending');
      else log.error({ code }, `SIGUSR2: this process serves on: ${message}`);
    },
  );
}

function changeNumber(served: Pick<Operated, 'scale'>, signal: string, by: 1 | -1, log: Log): void {
  if (served.scale === undefined) {
    log.warn(`${signal}: the number of processes changes under a supervisor only: start with --supervise`);
    return;
  }
  served.scale(by).then(
    (processes) => log.info(`${signal}: ${processes} process${processes === 1 ? '' : 'es'}`),
    ({ code, message, traceback }: LidoError) => log.error({ code, traceback }, `${signal}: ${message}`),
  );
}

function endOnSignals(stop: (signal: string) => Promise<void>, kill: () => void, log: Log): void {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      if (signal === 'SIGQUIT') log.info('SIGQUIT: ending at once');
      if (stopping || signal === 'SIGQUIT') {
        kill();
        endBySignal(signal);
      }
      stopping = true;
      stop(signal).then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}

/**
 * process.exit() waits for worker threads, and Python in a blocking C call would hold it; a signal that nobody handles
 * does not wait. It does nothing to a container's first process, which process.exit() then has to end.
 */
function endBySignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGQUIT'): never {
  // QUIT would leave a core file, and there is nothing to look into.
  const last = signal === 'SIGQUIT' ? 'SIGTERM' : signal;
  process.removeAllListeners(last);
  process.kill(process.pid, last);
  process.exit(128 + constants.signals[last]);
}
