/** Arithmetic over rounds. */

export function median(values) {
  const sorted = values.filter((value) => value !== undefined && value !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of one figure over an entry's rounds. */
export const medianOf = (entry, figure) => median(entry.rounds.map((round) => round[figure]));

/** How many times `own` is `other`, round by round: { middle, low, high }, or null without a common round. */
export function ratio(own, other, metric) {
  const ratios = own.rounds
    .map((round, index) => round[metric] / other.rounds[index]?.[metric])
    .filter((value) => Number.isFinite(value));
  if (ratios.length === 0) return null;
  return { middle: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}
