/** Main thread. Processor time of single threads, where the system tells: Linux. */
import { readFileSync } from 'node:fs';

/** Linux counts a thread's time in ticks, 100 a second on every machine. */
const TICKS_PER_SECOND = 100;

/** Seconds; null where nobody knows. `thread` is the system's number of it, 0 where that is not known. */
export function readThreadCpu(thread: number): number | null {
  if (thread === 0) return null;
  try {
    // proc(5): the 14th and 15th word, the name being the 2nd, which may have spaces.
    const text = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
    const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(words[11]) + Number(words[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}
