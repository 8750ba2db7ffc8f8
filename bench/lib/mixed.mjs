/**
 * Requests that arrive at random times, a few of them slow, whatever the server does with them (an open loop):
 * the latency of the tiny ones, from when each was due. The same seed gives every server the same arrivals.
 */
import { Agent, get } from 'node:http';

export default async function mixed({ port, tiny, slow, tinyPerSecond, slowPerSecond, seconds, seed }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 256, noDelay: true });
  const random = createRandom(seed);
  const arrivals = [
    ...drawArrivals(random, tinyPerSecond, seconds).map((at) => ({ at, path: tiny })),
    ...drawArrivals(random, slowPerSecond, seconds).map((at) => ({ at, path: slow })),
  ].sort((one, other) => one.at - other.at);
  const started = performance.now();
  const answers = await Promise.all(
    arrivals.map(async ({ at, path }) => {
      await new Promise((resolve) => setTimeout(resolve, at * 1000 - (performance.now() - started)));
      const due = started + at * 1000;
      return { path, ok: await fetchOnce(agent, port, path), ms: performance.now() - due };
    }),
  );
  agent.destroy();
  const tinyMs = sortedTimes(answers, tiny);
  return {
    requests: answers.length,
    rate: answers.length / seconds,
    p50: percentile(tinyMs, 0.5),
    p99: percentile(tinyMs, 0.99),
    max: tinyMs.at(-1),
    slowP50: percentile(sortedTimes(answers, slow), 0.5),
    errors: answers.filter((answer) => !answer.ok).length,
  };
}

function fetchOnce(agent, port, path) {
  return new Promise((resolve) => {
    const request = get({ agent, port, path, host: '127.0.0.1', timeout: 10_000 }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

/** Times of a Poisson process, in seconds. */
function drawArrivals(random, perSecond, seconds) {
  const times = [];
  for (let at = 0; at < seconds; at += -Math.log(1 - random()) / perSecond) times.push(at);
  return times.slice(1);
}

function sortedTimes(answers, path) {
  return answers
    .filter((answer) => answer.path === path && answer.ok)
    .map((answer) => answer.ms)
    .sort((a, b) => a - b);
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** mulberry32. */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mix = Math.imul(state ^ (state >>> 15), 1 | state);
    mix = (mix + Math.imul(mix ^ (mix >>> 7), 61 | mix)) ^ mix;
    return ((mix ^ (mix >>> 14)) >>> 0) / 4294967296;
  };
}
