/** Main thread. What the command does on SIGINT and SIGTERM. */
import { constants } from 'node:os';

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

/**
 * process.exit() waits for worker threads, and Python in a blocking C call would hold it; a signal that nobody handles
 * does not wait. It does nothing to a container's first process, which process.exit() then has to end.
 */
function endBySignal(signal: (typeof STOPPING)[number]): never {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  process.exit(128 + constants.signals[signal]);
}
