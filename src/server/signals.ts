/** Main thread. What the command does on signals. */
import { constants } from 'node:os';
import type { LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';

const STOPPING = ['SIGINT', 'SIGTERM'] as const;

/**
 * Calls `stop` at the first signal, then exits with 0; calls `kill` and ends at once, with 128 and its number, at the
 * second.
 */
export function stopOnSignals(stop: (signal: string) => Promise<void>, kill: () => void): void {
  let stopping = false;
  for (const signal of STOPPING) {
    process.on(signal, () => {
      if (stopping) {
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

/** What log rotation and deployment scripts send; unheeded, the first ends the process, and the second opens Node's inspector. */
export function reloadOnSignal(reload: (() => Promise<void>) | null, log: Log): void {
  process.on('SIGHUP', () => {
    if (reload === null) {
      log.warn('SIGHUP: several processes are not loaded anew: start others, then stop these');
      return;
    }
    log.info('SIGHUP: loading the application anew');
    reload().then(
      () => log.info('the application is loaded anew'),
      ({ code, message, traceback }: LidoError) =>
        log.error({ code, traceback }, `not reloaded, what was served is served on: ${message}`),
    );
  });
  process.on('SIGUSR1', () => {});
}

/**
 * process.exit() waits for worker threads, and Python in a blocking C call would hold it; a signal that nobody handles
 * does not wait. It does nothing to a container's first process, which process.exit() then has to end.
 */
function endBySignal(signal: (typeof STOPPING)[number]): never {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  process.exit(128 + constants.signals[signal]);
}
