/** Main thread. What the process as a whole uses: memory, processors, and how late its event loop comes. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { Histogram } from './histogram.js';
import { readResidentMemory } from './resident-memory.js';
import type { Vitals } from './snapshot.js';
import { readThreadCpu } from './thread-cpu.js';

/** How often the delay is looked at. Milliseconds; what Node.js counts as delay has this in it. */
const RESOLUTION_MS = 20;

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
    return {
      residentMemory: readResidentMemory(),
      heapUsed: getHeapStatistics().used_heap_size,
      cpu: (user + system) / 1e6,
      // The main thread's number is the process's.
      mainCpu: process.platform === 'linux' ? readThreadCpu(process.pid) : null,
      loopActive: performance.eventLoopUtilization().active / 1000,
      loopDelay: this.#longestDelays.read(),
    };
  }
}
