/** A known piece of work, timed: steadiness.mjs asks for it on all cores at once. */
import { parentPort } from 'node:worker_threads';

/** Each some 6 ms: what a core computes, and how long it waits for memory that its own caches do not hold. */
const STEPS = 3_000_000;
const VISITS = 200_000;
const places = new Uint32Array(1 << 20);

let state = 1;
let place = 0;

// Each place names the next one, all over the memory: no processor can fetch them ahead.
for (let index = 0; index < places.length; index++)
  places[index] = (Math.imul(index, 1_664_525) + 1_013_904_223) & (places.length - 1);

parentPort.on('message', () => {
  const started = performance.now();
  // A linear congruential generator: each step needs the one before.
  for (let step = 0; step < STEPS; step++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  for (let visit = 0; visit < VISITS; visit++) place = places[place];
  parentPort.postMessage(performance.now() - started);
});
