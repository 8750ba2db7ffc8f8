/** Main thread. How much memory the process takes. */

let last = 0;

/** Bytes; what was read before where the process has no descriptor left: the system tells it in a file, and Node.js throws. */
export function readResidentMemory(): number {
  try {
    last = process.memoryUsage.rss();
  } catch {
    // It is looked at again soon.
  }
  return last;
}
