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
