/** Results as tables, in Markdown: readable in a terminal, and the same text in the docs. */
import { medianOf, ratio } from './figures.mjs';

/** Nothing is asked of the server meanwhile. */
const HAS_NO_RATE = new Set(['rest', 'hold']);

const FIGURES = [
  [
    'rate',
    (value, load) => [
      HAS_NO_RATE.has(load.kind) ? null : load.unit,
      value >= 100 ? Math.round(value) : value.toFixed(1),
    ],
  ],
  ['p50', (value) => ['p50 ms', value.toFixed(2)]],
  ['p99', (value) => ['p99 ms', value.toFixed(2)]],
  ['max', (value) => ['max ms', value.toFixed(1)]],
  ['startMs', (value) => ['first answer ms', Math.round(value)]],
  ['restBytes', (value) => ['at rest MB', megabytes(value)]],
  ['processes', (value) => ['processes', value]],
  ['neverServed', (value) => ['never served', value]],
  ['bytesEach', (value) => ['KB each', (value / 1000).toFixed(1)]],
  ['wakeups', (value) => ['wake-ups/s', Math.round(value)]],
  ['cpu', (value, load) => cpuColumn(value, load)],
  ['cpuBeyond', (value) => ['beyond the application µs', Math.round(value * 1e6)]],
  ['rss', (value, load) => [load.kind === 'rest' ? null : 'peak RSS MB', megabytes(value)]],
  ['errors', (value) => ['errors', value]],
];

/** One load's table. Ratios are Lido's figure divided by the row's: one column for each Lido that took part. */
export function buildTable(load) {
  const present = load.entries.filter((entry) => entry.failed === null && entry.rounds.length > 0);
  const owners = present.filter((entry) => entry.own);
  const rows = present.map((entry) => buildRow(load, entry, owners));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const used = columns.filter((column) => column !== 'errors' || rows.some((row) => row.errors !== 0));
  return rows.length === 0 ? 'Nobody took part.' : formatTable(used, rows);
}

/** Who was left out of a group, and why. */
export function listFailures(group) {
  const failed = group.loads[0].entries.filter((entry) => entry.failed !== null);
  return failed.map((entry) => `Left out: ${entry.label}: ${entry.failed}`).join('\n');
}

/** Of a load's figures, which the machine had a part in. */
export function listDisturbed(load) {
  const labels = load.entries
    .filter(({ rounds }) => rounds.length > 0 && rounds.every((round) => round.disturbed))
    .map((entry) => entry.label);
  return labels.length === 0 ? '' : `The machine was slower than itself beside: ${labels.join(', ')}.`;
}

function buildRow(load, entry, owners) {
  const row = { server: entry.label };
  for (const [figure, format] of FIGURES) {
    const value = medianOf(entry, figure);
    if (value === null) continue;
    const [column, text] = format(value, load);
    if (column !== null) row[column] = text;
  }
  for (const own of owners)
    row[`${own.label} ÷ it`] = formatRatio(ratio(own, entry, load.metric), own === entry);
  if (load.alsoRatio !== undefined)
    for (const own of owners)
      row[`${load.alsoRatio}: ${own.label} ÷ it`] = formatRatio(
        ratio(own, entry, load.alsoRatio),
        own === entry,
      );
  return row;
}

function cpuColumn(value, load) {
  if (HAS_NO_RATE.has(load.kind)) return [null];
  return load.kind === 'transfer' ? ['CPU s', value.toFixed(2)] : ['CPU µs/request', Math.round(value * 1e6)];
}

/** Median over the rounds, with the spread in brackets. */
export function formatRatio(found, isSelf) {
  if (isSelf) return '';
  if (found === null) return '-';
  const spread = found.low === found.high ? '' : ` [${found.low.toFixed(2)}-${found.high.toFixed(2)}]`;
  return `${found.middle.toFixed(2)}${spread}`;
}

function formatTable(columns, rows) {
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? '')))];
  const widths = columns.map((_, index) => Math.max(3, ...cells.map((line) => line[index].length)));
  const pad = (text, index) => (index === 0 ? text.padEnd(widths[index]) : text.padStart(widths[index]));
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const [head, ...body] = cells.map((line) => `| ${line.map(pad).join(' | ')} |`);
  return [head, `| ${rule.join(' | ')} |`, ...body].join('\n');
}

const megabytes = (bytes) => Math.round(bytes / 1e6);
