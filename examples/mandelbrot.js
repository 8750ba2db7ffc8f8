// Heavy computing, streamed: every tile of the page is a PNG that a worker thread sends row by row as it computes it.
// Start it with `lido examples/mandelbrot.js`, open http://127.0.0.1:8000, and click to come closer.
import { encodePng } from './png.js';

const TILES_ACROSS = 4;
const TILES_DOWN = 3;
const TILE_WIDTH = 240;
const TILE_HEIGHT = 200;
const MAX_SIZE = 4096;
/** The whole set, on a page of this width. */
const FIRST_VIEW = { x: -0.65, y: 0, scale: 3.2 / (TILES_ACROSS * TILE_WIDTH) };

const INSIDE = 0;
const COLOURS = 255;
const palette = [[6, 8, 20], ...Array.from({ length: COLOURS }, (_, index) => mixColour(index / COLOURS))];

export function application(environ, startResponse) {
  const query = new URLSearchParams(environ.QUERY_STRING);
  if (environ.PATH_INFO === '/') return sendPage(readView(query), startResponse);
  if (environ.PATH_INFO === '/mandelbrot.png') return sendPicture(query, startResponse);
  startResponse('404 Not Found', [['Content-Type', 'text/plain']]);
  return ['There is / and /mandelbrot.png\n'];
}

function sendPicture(query, startResponse) {
  const view = readView(query);
  const width = readNumber(query, 'width', 1, MAX_SIZE, 640);
  const height = readNumber(query, 'height', 1, MAX_SIZE, 480);
  startResponse('200 OK', [['Content-Type', 'image/png']]);
  return encodePng({ width, height, palette, rows: computeRows(view, width, height) });
}

function* computeRows({ x, y, scale }, width, height) {
  const maxIterations = Math.round(250 + 60 * Math.log2(Math.max(1, FIRST_VIEW.scale / scale)));
  for (let row = 0; row < height; row += 1) {
    const pixels = new Uint8Array(width);
    const cy = y + (row - height / 2) * scale;
    for (let column = 0; column < width; column += 1)
      pixels[column] = colourPoint(x + (column - width / 2) * scale, cy, maxIterations);
    yield pixels;
  }
}

/** The place in the palette: how quickly z² + c leaves the circle, with the fraction that makes colours flow. */
function colourPoint(cx, cy, maxIterations) {
  let zx = 0;
  let zy = 0;
  for (let count = 0; count < maxIterations; count += 1) {
    const xx = zx * zx;
    const yy = zy * zy;
    if (xx + yy > 256) {
      const smooth = count + 1 - Math.log2(Math.log2(xx + yy) / 2);
      return 1 + (Math.floor(Math.sqrt(Math.max(0, smooth)) * 34) % COLOURS);
    }
    zy = 2 * zx * zy + cy;
    zx = xx - yy + cx;
  }
  return INSIDE;
}

/** A closed walk through night blue, water, foam and sand. */
function mixColour(position) {
  const stops = [
    [10, 24, 66],
    [22, 105, 160],
    [120, 206, 214],
    [250, 247, 226],
    [244, 180, 84],
    [140, 48, 60],
  ];
  const place = position * stops.length;
  const from = stops[Math.floor(place)];
  const to = stops[(Math.floor(place) + 1) % stops.length];
  return from.map((value, index) => Math.round(value + (to[index] - value) * (place % 1)));
}

function sendPage({ x, y, scale }, startResponse) {
  const tiles = [];
  for (let row = 0; row < TILES_DOWN; row += 1)
    for (let column = 0; column < TILES_ACROSS; column += 1) {
      const tileX = x + (column - (TILES_ACROSS - 1) / 2) * TILE_WIDTH * scale;
      const tileY = y + (row - (TILES_DOWN - 1) / 2) * TILE_HEIGHT * scale;
      tiles.push(
        `<a href="/?x=${tileX}&y=${tileY}&scale=${scale / 2}"><img alt="" width=${TILE_WIDTH} height=${TILE_HEIGHT} ` +
          `src="/mandelbrot.png?x=${tileX}&y=${tileY}&scale=${scale}&width=${TILE_WIDTH}&height=${TILE_HEIGHT}"></a>`,
      );
    }
  startResponse('200 OK', [['Content-Type', 'text/html; charset=utf-8']]);
  return [
    `<!doctype html>
<html lang="en">
<title>Mandelbrot by Lido</title>
<style>
  body { margin: 2rem; background: #0a1018; color: #cfe3ee; font: 16px/1.5 system-ui, sans-serif; text-align: center }
  main { display: grid; grid-template-columns: repeat(${TILES_ACROSS}, ${TILE_WIDTH}px); justify-content: center }
  img { display: block } a { color: inherit }
</style>
<h1>Mandelbrot</h1>
<main>${tiles.join('')}</main>
<p>Each tile is a request of its own, computed on a worker thread and sent row by row.<br>
Click a tile to come closer, or <a href="/">see it whole</a>.</p>
</html>
`,
  ];
}

function readView(query) {
  return {
    x: readNumber(query, 'x', -4, 4, FIRST_VIEW.x),
    y: readNumber(query, 'y', -4, 4, FIRST_VIEW.y),
    scale: readNumber(query, 'scale', 1e-15, 1, FIRST_VIEW.scale),
  };
}

function readNumber(query, name, least, most, otherwise) {
  const number = Number.parseFloat(query.get(name) ?? '');
  return Number.isNaN(number) ? otherwise : Math.min(most, Math.max(least, number));
}
