import { expect, it } from 'vitest';
import { Chunks } from '../../../dist/src/http/chunks.js';

const bytes = (...values: number[]) => Uint8Array.from(values);

it('gives back what was put in, in order, whatever its pieces', () => {
  const chunks = new Chunks();
  const taken: Uint8Array[] = [];
  const expected: number[] = [];
  for (let n = 0; n < 5000; n += 1) {
    const piece = new Uint8Array((n * 7919) % 5003).fill(n % 256);
    chunks.push(piece);
    expected.push(...piece);
    if (n % 3 === 0) taken.push(chunks.shift() ?? bytes());
    if (expected.length > 400_000) break;
  }
  for (let chunk = chunks.shift(); chunk !== null; chunk = chunks.shift()) taken.push(chunk);
  expect(Buffer.concat(taken).equals(Buffer.from(expected))).toBe(true);
  expect(chunks.length).toBe(0);
});

it('gathers what is small, and leaves as it is what is large or alone', () => {
  const chunks = new Chunks();
  const first = bytes(1);
  chunks.push(first);
  for (let n = 0; n < 100_000; n += 1) chunks.push(bytes(2));
  const large = new Uint8Array(10_000);
  chunks.push(large);
  const all = chunks.takeAll();
  expect(all.length).toBeLessThan(20);
  expect(all[0]).toBe(first);
  expect(all.at(-1)).toBe(large);
});

it('does not change what was taken by what comes behind it', () => {
  const chunks = new Chunks();
  for (const value of [1, 2, 3]) chunks.push(bytes(value));
  const taken = [chunks.shift(), chunks.shift()];
  chunks.push(bytes(4));
  chunks.push(bytes(5));
  expect(taken.map((chunk) => [...(chunk ?? [])])).toEqual([[1], [2, 3]]);
  expect(chunks.takeAll().flatMap((chunk) => [...chunk])).toEqual([4, 5]);
});

it('takes back what could not be used, before the others', () => {
  const chunks = new Chunks();
  chunks.push(bytes(3));
  chunks.putBack([bytes(1), bytes(2)]);
  expect(chunks.length).toBe(3);
  expect(chunks.takeAll().flatMap((chunk) => [...chunk])).toEqual([1, 2, 3]);
});

const BLOCK = 256 * 1024;

/** Puts bytes where there is room for them, as much as there is. */
function fill(chunks: Chunks, size: number, value: number): void {
  for (let left = size; left > 0; ) {
    const part = chunks.room().subarray(0, left).fill(value);
    chunks.push(part);
    left -= part.length;
  }
}

it('makes whole blocks of what is put into its room, and of what was there before', () => {
  const chunks = new Chunks();
  chunks.push(new Uint8Array(10_000).fill(1));
  chunks.push(bytes(2));
  fill(chunks, BLOCK, 3);
  fill(chunks, 100_000, 4);
  const full = chunks.takeFull();
  expect(full.map(({ length }) => length)).toEqual([BLOCK]);
  expect(chunks.length).toBe(10_001 + 100_000);
  const expected = Buffer.alloc(BLOCK + 110_001, 3)
    .fill(1, 0, 10_000)
    .fill(2, 10_000, 10_001)
    .fill(4, BLOCK + 10_001);
  expect(Buffer.concat([...full, ...chunks.takeAll()]).equals(expected)).toBe(true);
});

it('does not write over what was taken out of a block, nor into room that it gave', () => {
  const chunks = new Chunks();
  fill(chunks, 10, 1);
  const first = chunks.shift() as Uint8Array;
  const room = chunks.room();
  chunks.push(bytes(2));
  chunks.push(bytes(3));
  chunks.push(room.subarray(0, 5).fill(4));
  expect([...first]).toEqual(Array(10).fill(1));
  expect([...Buffer.concat(chunks.takeAll())]).toEqual([2, 3, 4, 4, 4, 4, 4]);
});
