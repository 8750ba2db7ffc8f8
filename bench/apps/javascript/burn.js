/** Real work on one core: an integer mix that no compiler can remove. `units` is calibrated by lib/calibrate.mjs. */
export function burn(units) {
  let mix = 1;
  for (let step = 0; step < units * 1000; step++) mix = (Math.imul(mix, 1103515245) + 12345) | 0;
  return mix;
}

/** Units of work that take one millisecond on this machine, as the bench found out. */
export const unitsPerMs = Number(process.env.BENCH_JAVASCRIPT_UNITS_PER_MS ?? 500);
