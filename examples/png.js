// A PNG encoder that needs one row at a time, so that a picture can be sent while it is still being computed.
// https://www.w3.org/TR/png-3/
import { constants, crc32, deflateRawSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const PALETTE_COLOURS = 3;
const ZLIB_HEADER = Buffer.from([0x78, 0x01]);
const LAST_BLOCK = Buffer.from([0x03, 0x00]); // an empty deflate block, marked as the final one

/**
 * Yields the bytes of a picture of at most 256 colours: the head at once, then a block for each row.
 * `palette`: [red, green, blue] each. `rows`: an iterable of `height` arrays with `width` places in the palette.
 */
export function* encodePng({ width, height, palette, rows }) {
  yield Buffer.concat([
    SIGNATURE,
    buildChunk('IHDR', buildHeader(width, height)),
    buildChunk('PLTE', Buffer.from(palette.flat())),
    buildChunk('IDAT', ZLIB_HEADER),
  ]);
  let checksum = 1;
  for (const row of rows) {
    const line = Buffer.concat([Buffer.of(0), row]); // 0: the row is not filtered
    checksum = adler32(checksum, line);
    // A sync flush ends the row on a whole byte, so that rows can be put one after the other.
    yield buildChunk('IDAT', deflateRawSync(line, { finishFlush: constants.Z_SYNC_FLUSH }));
  }
  const trailer = Buffer.alloc(4);
  trailer.writeUInt32BE(checksum);
  yield Buffer.concat([
    buildChunk('IDAT', Buffer.concat([LAST_BLOCK, trailer])),
    buildChunk('IEND', Buffer.alloc(0)),
  ]);
}

function buildHeader(width, height) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8; // bits per pixel
  header[9] = PALETTE_COLOURS;
  return header;
}

function buildChunk(type, data) {
  const chunk = Buffer.alloc(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, data.length + 8)), data.length + 8);
  return chunk;
}

/** The checksum at the end of a zlib stream. RFC 1950, section 8.2. */
function adler32(previous, data) {
  let low = previous & 0xffff;
  let high = previous >>> 16;
  for (const byte of data) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return ((high << 16) | low) >>> 0;
}
