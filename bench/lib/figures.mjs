/** Arithmetic over rounds. */

export function median(values) {
  const sorted = values.filter((value) => value !== undefined && value !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of one figure over an entry's rounds; over those in which the machine was itself, where there are any. */
export const medianOf = (entry, figure) => median(steady(entry.rounds).map((round) => round[figure]));

/** How many times `own` is `other`, round by round: { middle, low, high }, or null without a common round. */
export function ratio(own, other, metric) {
  const pairs = own.rounds.map((round, index) => {
    const beside = other.rounds[index];
    return { value: round[metric] / beside?.[metric], disturbed: round.disturbed || beside?.disturbed };
  });
  const ratios = steady(pairs.filter(({ value }) => Number.isFinite(value))).map(({ value }) => value);
  if (ratios.length === 0) return null;
  return { middle: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}

/** See steadiness.mjs. */
function steady(rounds) {
  const undisturbed = rounds.filter((round) => !round.disturbed);
  return undisturbed.length > 0 ? undisturbed : rounds;
}
