/** Main thread of a process that is Lido's own: what becomes of it where something was thrown that nobody caught. */
import { describe } from '../contract/errors.js';
import type { Log } from '../log.js';
import { exitPastPython } from '../python/host.js';

/**
 * Ends the process with status 1, as Node does, but although a thread of it is inside Python: Node would wait for that thread, and
 * for ever where it does not come back. `clean` is called before.
 */
export function endUncaught(log: Log, clean: () => void = () => {}): void {
  process.once('uncaughtException', (error) => {
    // What is thrown meanwhile changes nothing.
    process.on('uncaughtException', () => {});
    log.error({ err: error }, `nobody caught this, and the process ends: ${describe(error)}`);
    clean();
    void exitPastPython(1);
  });
}
