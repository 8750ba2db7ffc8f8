/** Main thread. What the process as a whole uses: memory, processors, and how late its event loop comes. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Histogram } from './histogram.js';
import type { Vitals } from './snapshot.js';

/** How often the delay is looked at. Milliseconds; what Node.js counts as delay has this in it. */
const RESOLUTION_MS = 20;
/** Linux counts a thread's time in ticks, 100 a second on every machine. */
const TICKS_PER_SECOND = 100;

export class VitalsMonitor {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #longestDelays = new Histogram();

  start(): void {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** Call it once a second: the longest delay since the last call is counted. */
  read(): Vitals {
    if (this.#delay.count > 0) this.#longestDelays.add(Math.max(0, this.#delay.max / 1e6 - RESOLUTION_MS));
    this.#delay.reset();
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    return {
      residentMemory: rss,
      heapUsed,
      cpu: (user + system) / 1e6,
      mainCpu: readMainCpu(),
      loopActive: performance.eventLoopUtilization().active / 1000,
      loopDelay: this.#longestDelays.read(),
    };
  }
}

/** proc(5): the 14th and 15th word, the name being the 2nd, which may have spaces. The main thread's id is the process's. */
function readMainCpu(): number | null {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1');
    const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(words[11]) + Number(words[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}
