/** Main thread. Durations counted by size: cheap to add to, to add up and to send, and exact enough for percentiles. */

/** ISO 3's R10 series: ten steps in each power of ten, 26 % apart, and 1, 2.5 and 5 are among them. */
const STEPS = [1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8];
/** Seconds: from 100 µs, below which nothing over a network is told apart, to 100 s. */
const DECADES = [1e-4, 1e-3, 1e-2, 1e-1, 1, 10];

/** Upper bounds in seconds; what is above the last has a place of its own behind it. */
export const BOUNDS: readonly number[] = [
  ...DECADES.flatMap((decade) => STEPS.map((step) => Number((step * decade).toPrecision(3)))),
  100,
];
const BOUNDS_MS = Float64Array.from(BOUNDS, (seconds) => seconds * 1000);

/** Those that Prometheus gets, where each is a series of its own: from 500 µs to 50 s. */
export const TOLD_BOUNDS: readonly number[] = BOUNDS.filter(
  (bound, place) => [0, 4, 7].includes(place % STEPS.length) && bound >= 0.0005 && bound <= 50,
);

export interface HistogramData {
  /** How many were at most as long as the bound in the same place, and longer than the one before it. */
  readonly counts: readonly number[];
  /** Of all durations, in seconds. */
  readonly sum: number;
}

export class Histogram {
  readonly #counts = new Float64Array(BOUNDS.length + 1);
  #sumMs = 0;

  add(ms: number): void {
    const place = findPlace(ms);
    this.#counts[place] = (this.#counts[place] as number) + 1;
    this.#sumMs += ms;
  }

  read(): HistogramData {
    return { counts: [...this.#counts], sum: this.#sumMs / 1000 };
  }
}

/** By halves: the first bound that is not below the duration. */
function findPlace(ms: number): number {
  let low = 0;
  let high = BOUNDS_MS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((BOUNDS_MS[middle] as number) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const NO_HISTOGRAM: HistogramData = { counts: Array<number>(BOUNDS.length + 1).fill(0), sum: 0 };

/** `one` with `other` added, or taken away where `sign` is -1: what happened since `other` was read. */
export function combine(one: HistogramData, other: HistogramData, sign: 1 | -1 = 1): HistogramData {
  const counts = one.counts.map((count, place) => Math.max(0, count + sign * (other.counts[place] ?? 0)));
  return { counts, sum: Math.max(0, one.sum + sign * other.sum) };
}

export function countAll({ counts }: HistogramData): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** The duration that this share of all (0.99) did not exceed, in seconds: at most 26 % off; null where there are none. */
export function findPercentile(data: HistogramData, share: number): number | null {
  const total = countAll(data);
  if (total === 0) return null;
  let rank = share * total;
  for (const [place, count] of data.counts.entries()) {
    if (rank <= count && count > 0) {
      const low = place === 0 ? 0 : (BOUNDS[place - 1] as number);
      const high = BOUNDS[place] ?? low;
      return low + (high - low) * (rank / count);
    }
    rank -= count;
  }
  return BOUNDS.at(-1) ?? null;
}
