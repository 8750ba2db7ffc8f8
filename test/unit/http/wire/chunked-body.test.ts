// Chunks by themselves: gathered in each packet, the same wherever packets end.
import { expect, it } from 'vitest';
import { ChunkedBody } from '../../../../dist/src/http/wire/chunked-body.js';

const limits = { requestLine: 100, fields: 3, fieldSize: 50 };

function read(...packets: string[]) {
  const body = new ChunkedBody(limits, 1);
  const taken: string[] = [];
  let left = '';
  for (const packet of packets) {
    const bytes = Buffer.from(packet, 'latin1');
    left = packet.slice(body.read(bytes, 0));
    if (body.taken !== null) taken.push(body.taken.toString('latin1'));
    if (body.isWhole || body.refusal !== null) break;
  }
  return { taken, left, isWhole: body.isWhole, status: body.refusal?.status, trailers: body.trailers };
}

const whole = `3\r\nabc\r\n;`.replace(
  ';',
  `64;a="b;\\"c";d=e\r\n${'x'.repeat(100)}\r\n1\r\n!\r\n0\r\nX-A: 1\r\n\r\n`,
);

it('gives the data of all chunks in a packet in one piece, and leaves what is behind them', () => {
  expect(read(`${whole}GET`)).toEqual({
    taken: [`abc${'x'.repeat(100)}!`],
    left: 'GET',
    isWhole: true,
    status: undefined,
    trailers: ['X-A'],
  });
});

it('gives the same data wherever packets end', () => {
  for (let place = 1; place < whole.length; place += 1) {
    const { taken, isWhole } = read(whole.slice(0, place), whole.slice(place));
    expect([taken.join(''), isWhole]).toEqual([`abc${'x'.repeat(100)}!`, true]);
  }
  expect(read(...whole).taken.join('')).toBe(`abc${'x'.repeat(100)}!`);
});

it.each([
  ['a size that is none', 400, 'x'],
  ['a size that cannot be counted', 400, 'f'.repeat(13)],
  ['a chunk that is longer than its size', 400, '1\r\nab'],
  ['a value that does not come', 400, '1;a=\r\n'],
  ['extensions without end', 413, `1;${'x'.repeat(17_000)}`],
  ['a trailer field without end', 431, `0\r\nX: ${'x'.repeat(60)}`],
  ['a trailer of more fields than the head has left', 431, `0\r\n${'X: a\r\n'.repeat(3)}`],
])('refuses %s before the rest has come', (_name, status, text) => {
  expect(read(text).status).toBe(status);
  expect(read(...text).status).toBe(status);
});
