/** One load as a bar chart, in SVG: everyone's own figure on an axis with its unit, and what it is beside Lido's best. */
import { median, medianOf, ratio } from './figures.mjs';

const WIDTH = 760;
const NAMES = 250;
const ROW = 26;
const TOP = 40;
/** Room for the words behind the longest bar. */
const BEHIND = 130;
/** A bar this many times the median of all is cut, so that one row does not flatten the others. */
const LONGEST_BAR = 4;

const AXES = {
  rate: (load) => load.unit,
  p99: () => 'p99 in milliseconds',
  startMs: () => 'milliseconds to the first answer',
  bytesEach: () => 'bytes for each of them',
};

/** The best server comes first; Lido's best configuration is the reference that the others' factors are of. */
export function buildPlot(title, load) {
  const present = load.entries.filter((entry) => entry.failed === null && entry.rounds.length > 0);
  const bars = present.map((entry) => measure(entry, load)).sort((one, other) => rank(one, other, load));
  const reference = bars.find(({ entry }) => entry.own);
  if (reference === undefined || bars.length < 2) return null;
  const end = findEnd(bars);
  const scale = (WIDTH - NAMES - BEHIND) / end;
  const height = TOP + bars.length * ROW + 50;
  const rows = bars.map((bar, index) => drawBar(bar, TOP + index * ROW, { scale, end, reference, load }));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
<title>${escapeText(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="22" font-size="15" font-weight="600">${escapeText(title)}</text>
${drawAxis(end, scale, TOP + bars.length * ROW)}
${rows.join('\n')}
<text x="10" y="${height - 8}" font-size="11" fill="#666">${escapeText(describeAxis(load, reference))}</text>
</svg>
`;
}

function measure(entry, load) {
  const values = entry.rounds.map((round) => round[load.metric]).filter((value) => Number.isFinite(value));
  return {
    entry,
    middle: medianOf(entry, load.metric) ?? 0,
    low: Math.min(...values),
    high: Math.max(...values),
  };
}

function rank(one, other, load) {
  return load.better === 'higher' ? other.middle - one.middle : one.middle - other.middle;
}

/** Where the axis ends: at the longest bar that is not out of all proportion. */
function findEnd(bars) {
  const most = LONGEST_BAR * median(bars.map(({ middle }) => middle));
  return Math.max(...bars.map(({ middle }) => middle).filter((value) => value <= most));
}

function drawBar(bar, top, { scale, end, reference, load }) {
  const { entry, middle, low, high } = bar;
  const at = (value) => (NAMES + Math.min(value, end) * scale).toFixed(1);
  const isCut = middle > end;
  const behind = Number(at(isCut ? end : high)) + 6;
  const spread = isCut
    ? `<path d="M${at(end)} ${top + 1}l-5 7l5 5l-5 7" stroke="#fff" stroke-width="3" fill="none"/>`
    : `<path d="M${at(low)} ${top + 11}H${at(high)}" stroke="#333" stroke-width="1.5"/>`;
  return `<text x="${NAMES - 8}" y="${top + 15}" text-anchor="end">${escapeText(entry.label)}</text>
<rect x="${NAMES}" y="${top + 2}" width="${(Number(at(middle)) - NAMES).toFixed(1)}" height="${ROW - 8}" fill="${entry.own ? '#0b7fab' : '#b8c4cc'}"/>
${spread}
<text x="${behind}" y="${top + 15}">${formatFigure(middle)}<tspan dx="5" fill="#666">${describeFactor(bar, reference, load)}</tspan></text>`;
}

function describeFactor({ entry }, reference, load) {
  if (entry === reference.entry) return '· reference';
  const found = ratio(entry, reference.entry, load.metric);
  return found === null ? '' : `· ${found.middle.toFixed(2)} ×`;
}

function drawAxis(end, scale, bottom) {
  const ticks = chooseTicks(end).map((value) => {
    const x = (NAMES + value * scale).toFixed(1);
    return `<path d="M${x} ${TOP - 4}V${bottom + 4}" stroke="#e2e6e9"/><text x="${x}" y="${bottom + 17}" text-anchor="middle" font-size="11" fill="#666">${formatFigure(value)}</text>`;
  });
  return ticks.join('\n');
}

/** Four or five round numbers from 0 on. */
function chooseTicks(end) {
  const rough = end / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, index) => index * step);
}

function formatFigure(value) {
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function describeAxis(load, reference) {
  const unit = AXES[load.metric]?.(load) ?? load.metric;
  const better = load.better === 'higher' ? 'longer is better' : 'shorter is better';
  return `${unit}, ${better}; × is beside ${reference.entry.label}; the thin line is the spread over rounds; a broken bar is longer than drawn`;
}

const escapeText = (text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
