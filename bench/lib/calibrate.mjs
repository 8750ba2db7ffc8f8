/** How much work a millisecond is on this machine, in each language: the best of several tries, to leave noise out. */
import { execFileSync } from 'node:child_process';
import { javascriptApps, pythonApps } from './paths.mjs';
import { python } from './peers.mjs';

const TRIES = 7;

/** Environment variables that the applications of CPU-bound scenarios read. */
export function calibrate() {
  const javascript = `
    import { burn } from '${javascriptApps}/burn.js';
    let best = Infinity;
    for (let i = 0; i < ${TRIES}; i++) { const t = performance.now(); burn(20000); best = Math.min(best, performance.now() - t); }
    console.log(20000 / best);`;
  const inPython = `
import sys, time
sys.path.insert(0, ${JSON.stringify(pythonApps)})
from work import burn
def once():
    t = time.perf_counter()
    burn(200)
    return time.perf_counter() - t
print(200 / min(once() for _ in range(${TRIES})) / 1000)`;
  return {
    BENCH_JAVASCRIPT_UNITS_PER_MS: execFileSync(process.execPath, ['--input-type=module', '-e', javascript], {
      encoding: 'utf8',
    }).trim(),
    BENCH_PYTHON_UNITS_PER_MS: python(inPython) ?? '',
  };
}
