/** Main thread. Whether this process uses all processors that it may. */

/** Of what there is: the rest is the system's, and other programs'. */
const NEARLY_ALL = 0.9;
/** Processor time is counted over at least so long... Milliseconds. */
const WINDOW_MS = 40;
/** ...and over no longer: what was an hour ago says nothing. */
const LONGEST_WINDOW_MS = 400;

/**
 * `cores`: how many it may use. What it returns is to be asked again and again while somebody wants to know; true also
 * while it is not known yet.
 */
export function createSaturationMeter(cores: number): () => boolean {
  let at = Number.NEGATIVE_INFINITY;
  let used = 0;
  let isSaturated = true;
  return () => {
    const passed = performance.now() - at;
    if (passed < WINDOW_MS) return isSaturated;
    const total = readCpuMs();
    isSaturated = passed > LONGEST_WINDOW_MS || (total - used) / passed >= cores * NEARLY_ALL;
    at = performance.now();
    used = total;
    return isSaturated;
  };
}

function readCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
