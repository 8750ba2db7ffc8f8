/** Main thread. The name that somebody may have meant. Pure. */

/** A name of ten letters may be misspelt by four edits; what differs by more is taken for another name. */
const FARTHEST = 0.4;

/** The candidate with the fewest edits from `name`, or null when none is near: `farthest` is a part of its length. */
export function nearest(name: string, candidates: readonly string[], farthest = FARTHEST): string | null {
  let best: string | null = null;
  let fewest = Math.max(1, Math.floor(name.length * farthest)) + 1;
  for (const candidate of candidates) {
    const edits = countEdits(name.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein's distance, row by row. */
function countEdits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      next.push(
        Math.min(
          (row[j] as number) + 1,
          (next[j - 1] as number) + 1,
          (row[j - 1] as number) + (same ? 0 : 1),
        ),
      );
    }
    row = next;
  }
  return row[b.length] as number;
}
