/** One load as a bar chart, in SVG: what Lido's figure is divided by everyone's, so that the bars mean something on any machine. */
import { median, ratio } from './figures.mjs';

const WIDTH = 760;
const NAMES = 250;
const ROW = 26;

/** The best of Lido's configurations is 1; longer is better for the server that the bar belongs to. */
export function buildPlot(title, load) {
  const present = load.entries.filter((entry) => entry.failed === null && entry.rounds.length > 0);
  const best = findBest(
    present.filter((entry) => entry.own),
    load,
  );
  if (best === null || present.length < 2) return null;
  const bars = present
    .map((entry) => ({ entry, ...relative(entry, best, load) }))
    .sort((a, b) => b.middle - a.middle);
  const scale = (WIDTH - NAMES - 70) / Math.max(...bars.map((bar) => bar.high));
  const height = bars.length * ROW + 60;
  const rows = bars.map((bar, index) => drawBar(bar, 40 + index * ROW, scale));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
<title>${escapeText(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="22" font-size="15" font-weight="600">${escapeText(title)}</text>
${rows.join('\n')}
<text x="10" y="${height - 8}" font-size="11" fill="#666">${escapeText(describeScale(best, load))}</text>
</svg>
`;
}

function relative(entry, best, load) {
  const found = ratio(
    load.better === 'higher' ? entry : best,
    load.better === 'higher' ? best : entry,
    load.metric,
  );
  return found ?? { middle: 0, low: 0, high: 0 };
}

function drawBar({ entry, middle, low, high }, top, scale) {
  const at = (value) => (NAMES + value * scale).toFixed(1);
  return `<text x="${NAMES - 8}" y="${top + 15}" text-anchor="end">${escapeText(entry.label)}</text>
<rect x="${NAMES}" y="${top + 2}" width="${(middle * scale).toFixed(1)}" height="${ROW - 8}" fill="${entry.own ? '#0b7fab' : '#b8c4cc'}"/>
<path d="M${at(low)} ${top + 11}H${at(high)}" stroke="#333" stroke-width="1.5"/>
<text x="${Number(at(high)) + 6}" y="${top + 15}">${middle.toFixed(2)}</text>`;
}

function findBest(entries, load) {
  const value = (entry) =>
    median(entry.rounds.map((round) => round[load.metric])) * (load.better === 'higher' ? 1 : -1);
  return entries.sort((one, other) => value(other) - value(one))[0] ?? null;
}

function describeScale(best, load) {
  const what = load.better === 'higher' ? load.unit : `${load.metric}, inverted`;
  return `${what}, relative to ${best.label}; longer is better; the line is the spread over rounds`;
}

const escapeText = (text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
