/** Saved results: one JSON file a run, and the comparison with the one before. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { medianOf } from './figures.mjs';
import { results } from './paths.mjs';

/** Writes results/SCENARIO-DATE.json; gives its path. */
export function saveResult(name, result) {
  mkdirSync(results, { recursive: true });
  const file = `${results}/${name}-${result.machine.date.replace(/[:.]/g, '-')}.json`;
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}

/** The scenario's newest result, or null. */
export function loadLastResult(name) {
  let files = [];
  try {
    files = readdirSync(results).filter((file) => file.startsWith(`${name}-`) && file.endsWith('.json'));
  } catch {
    // No result was saved yet.
  }
  const last = files.sort().at(-1);
  return last === undefined ? null : JSON.parse(readFileSync(`${results}/${last}`, 'utf8'));
}

/** One line for each of Lido's figures that the last result has too. */
export function compareResults(last, groups) {
  const lines = [];
  for (const { group, load, entry } of ownEntries(groups)) {
    const before = ownEntries(last.groups).find(
      (other) => other.group === group && other.load.name === load.name && other.entry.label === entry.label,
    );
    const then = before && medianOf(before.entry, load.metric);
    const now = medianOf(entry, load.metric);
    if (!then || !now) continue;
    lines.push(
      `${group}, ${load.name}, ${entry.label}: ${(now / then).toFixed(2)} of the last (${load.metric}, ${load.better} is better)`,
    );
  }
  return lines;
}

function ownEntries(groups) {
  return groups.flatMap((group) =>
    group.loads.flatMap((load) =>
      load.entries.filter((entry) => entry.own).map((entry) => ({ group: group.name, load, entry })),
    ),
  );
}
