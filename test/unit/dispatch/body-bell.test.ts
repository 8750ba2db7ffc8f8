// When a worker that waits for its request's body is woken.
import { expect, it } from 'vitest';
import { BodyBell } from '../../../dist/src/dispatch/body-channel.js';

const KiB = 1024;

function makeBell() {
  const rings: string[] = [];
  const bell = new BodyBell(() => rings.push('ring'));
  return { bell, rings };
}

const turn = () => new Promise(setImmediate);

it('rings once for the chunks of a turn, when it ends', async () => {
  const { bell, rings } = makeBell();
  bell.tell(1);
  bell.tell(64 * KiB);
  expect(rings.length).toBe(0);
  await turn();
  expect(rings.length).toBe(1);
  await turn();
  expect(rings.length).toBe(1);
  bell.tell(1);
  await turn();
  expect(rings.length).toBe(2);
});

it('rings at once for 256 KiB, and for the end of the body', async () => {
  const { bell, rings } = makeBell();
  for (let count = 0; count < 5; count += 1) bell.tell(64 * KiB);
  expect(rings.length).toBe(1);
  bell.tell(0);
  expect(rings.length).toBe(2);
  await turn();
  expect(rings.length).toBe(2);
});
