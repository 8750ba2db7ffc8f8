/** Main thread. What the command does on SIGINT and SIGTERM. */
import { constants } from 'node:os';

const STOPPING = ['SIGINT', 'SIGTERM'] as const;

/** Calls `stop` at the first signal, then exits with 0; exits at once, with 128 and its number, at the second. */
export function stopOnSignals(stop: (signal: string) => Promise<void>): void {
  let stopping = false;
  for (const signal of STOPPING) {
    process.on(signal, () => {
      if (stopping) endAtOnce(128 + constants.signals[signal]);
      stopping = true;
      stop(signal).then(
        () => process.exit(0),
        () => endAtOnce(1),
      );
    });
  }
}

/** process.exit() waits for worker threads, and one that is stuck in C code would hold it: then the process kills itself. */
export function endAtOnce(code: number): never {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 500).unref();
  process.exit(code);
}
