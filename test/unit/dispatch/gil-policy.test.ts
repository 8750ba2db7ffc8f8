// The dispatcher with workers that share one GIL: what waits is opened at once, what computes one after the other.
import { describe, expect, test } from 'vitest';
import { chooseUnderGil, weigh } from '../../../dist/src/dispatch/gil-policy.js';
import { type Doing, GIL, type SimulatedJob, Simulation } from './simulation.js';

const COMPUTES: Doing = [1];
const WAITS: Doing = [0.25, -10];
const BOTH: Doing = [0.5, -5, 0.5];

/** Requests a second that were answered, of those that were finished after `fromMs`. */
const rateOf = (over: readonly SimulatedJob[], fromMs: number, toMs: number) =>
  (over.filter(({ finishedMs }) => finishedMs > fromMs).length / (toMs - fromMs)) * 1000;

describe('the choice', () => {
  const manner = (share: number, computeMs = 1) => ({ share, native: 0, computeMs });
  const native = { share: 0.05, native: 0.95, computeMs: 20 };
  const worker = (
    running: ReturnType<typeof manner> | null,
    load = running === null ? 0 : 1,
    busySince = 9,
  ) => ({
    load,
    busySince,
    lastUsed: 0,
    serviceMs: 1,
    manner: running,
  });

  test.each([
    [1, 1],
    [0.75, 1],
    [0.6, 2],
    [1 / 2, 3],
    [1 / 6, 11],
    [0.01, 199],
  ])('of requests that want the GIL for %d of their time, so many are open: %d', (share, count) => {
    const open = [];
    while (chooseUnderGil([...open, worker(null)], 10, GIL, manner(share))?.manner === null)
      open.push(worker(manner(share)));
    expect(open).toHaveLength(count);
  });

  test('one that computes is weighed as one, and one that only waits as nothing', () => {
    expect(weigh(manner(1))).toBe(1);
    expect(weigh(manner(0))).toBe(0);
  });

  test('one that waits is opened beside one that computes, and one that computes beside those that wait', () => {
    const idle = worker(null);
    const waiters = Array.from({ length: 6 }, () => worker(manner(0.01)));
    expect(chooseUnderGil([worker(manner(1)), idle], 10, GIL, manner(0.01))).toBe(idle);
    expect(chooseUnderGil([...waiters, idle], 10, GIL, manner(1))).toBe(idle);
  });

  test('one that computes is queued behind its like, one that waits behind none that computes', () => {
    const hot = worker(manner(1));
    expect(chooseUnderGil([hot], 10, GIL, manner(1))).toBe(hot);
    expect(chooseUnderGil([hot], 10, GIL, manner(0.1))).toBeNull();
    expect(chooseUnderGil([worker(manner(0.1))], 10, GIL, manner(1))).toBeNull();
  });

  test('one that waits is the next of the worker that is free first, unless that has a next, or is late', () => {
    const [soon, later, late] = [
      worker(manner(0.1), 1, 8),
      worker(manner(0.1), 1, 9),
      worker(manner(0.1), 1, -20),
    ];
    expect(chooseUnderGil([late, later, soon], 10, GIL, manner(0.1))).toBe(soon);
    expect(chooseUnderGil([worker(manner(0.1), 2), late], 10, GIL, manner(0.1))).toBeNull();
  });

  test('those that compute without the GIL are opened on as many as there are cores', () => {
    const idle = worker(null);
    expect(chooseUnderGil([worker(native), idle], 10, GIL, native)).toBe(idle);
    expect(chooseUnderGil([worker(native), worker(native), idle], 10, GIL, native)).not.toBe(idle);
    expect(chooseUnderGil([worker(native), worker(native), idle], 10, GIL, manner(1))).toBe(idle);
    expect(chooseUnderGil([worker(native), worker(native), idle], 10, GIL, manner(0.1))).toBe(idle);
  });

  test('one that takes long waits in the backlog, where it holds up no other', () => {
    expect(chooseUnderGil([worker(manner(1, 20)), worker(null)], 10, GIL, manner(1, 20))).toBeNull();
  });

  test('nobody waits for one that takes much longer, be it known or seen', () => {
    const idle = worker(null);
    expect(chooseUnderGil([worker(manner(1, 200)), idle], 10, GIL, manner(1))).toBe(idle);
    expect(chooseUnderGil([worker(manner(1), 1, 4), idle], 10, GIL, manner(1))).toBe(idle);
  });
});

describe('requests that compute', () => {
  test('keep to one worker, which is never without work', () => {
    const simulation = new Simulation(8, GIL);
    simulation.keepAsking(32, [['/', COMPUTES]]);
    simulation.run(20);
    simulation.mostOpen = 0;
    const before = simulation.busySteps;
    simulation.run(200);
    expect(simulation.mostOpen).toBe(1);
    expect(simulation.busySteps - before).toBe(800);
  });

  test('run one after the other when they take long, and those that are quick do not wait for them', () => {
    const simulation = new Simulation(8, GIL);
    const over = simulation.keepAsking(16, [['/long', [20]]]);
    simulation.run(200);
    simulation.mostOpen = 0;
    simulation.run(200);
    expect(simulation.mostOpen).toBeLessThanOrEqual(2);
    expect(rateOf(over, 201, 401)).toBeGreaterThanOrEqual(45);
    // Until it is known it is taken for another one of those.
    const first = simulation.ask('/quick', COMPUTES);
    while (first.state !== 'over') simulation.run(1);
    const quick = simulation.ask('/quick', COMPUTES);
    simulation.run(20);
    expect(quick.latencyMs).toBeLessThan(10);
  });
});

describe('requests that wait', () => {
  test('are all opened within the time of two', () => {
    const simulation = new Simulation(8, GIL);
    simulation.keepAsking(8, [['/', WAITS]]);
    simulation.run(25);
    expect(simulation.open).toBe(8);
  });

  test.each([
    [3, 8],
    [10, 8],
    [50, 64],
    [100, 64],
  ])('for %d ms on %d threads reach 0.95 of what is possible', (ms, threads) => {
    const simulation = new Simulation(threads, GIL);
    const over = simulation.keepAsking(threads, [['/', [0.25, -ms]]]);
    simulation.run(2000);
    const ceiling = Math.min((threads / (ms + 0.25)) * 1000, 4000);
    expect(rateOf(over, 1001, 2001)).toBeGreaterThan(0.95 * ceiling);
  });
});

describe('requests that compute without the GIL', () => {
  const HASHES: Doing = [0.25, { native: 40 }];

  test('run on as many threads as there are cores, and others do not wait for them', () => {
    const simulation = new Simulation(8, GIL);
    const over = simulation.keepAsking(16, [['/hash', HASHES]]);
    simulation.run(400);
    expect(simulation.countOpen('/hash')).toBe(GIL.cores);
    // Until it is known it is taken for another one of those.
    const first = simulation.ask('/quick', COMPUTES);
    while (first.state !== 'over') simulation.run(1);
    const quick = simulation.ask('/quick', COMPUTES);
    over.length = 0;
    const from = simulation.nowMs;
    simulation.run(1000);
    expect(quick.latencyMs).toBeLessThan(10);
    expect(rateOf(over, from, from + 1000)).toBeGreaterThan((0.95 * GIL.cores * 1000) / 40.25);
  });

  test.each([2, 8])('are found out again when they do so no longer, on %d threads', (threads) => {
    const simulation = new Simulation(threads, GIL);
    simulation.keepAsking(16, [['/hash', HASHES]]);
    simulation.run(400);
    expect(simulation.countOpen('/hash')).toBe(GIL.cores);
    simulation.onFinish = () => simulation.ask('/hash', [40]);
    simulation.run(5000);
    const open: number[] = [];
    for (let look = 0; look < 100; look += 1) {
      simulation.run(10);
      open.push(simulation.countOpen('/hash'));
    }
    expect(open.filter((count) => count > 1).length).toBeLessThan(20);
  });

  test('are told from those that compute with it, which stay on one thread beside them', () => {
    const simulation = new Simulation(8, GIL);
    const over = simulation.keepAsking(16, [
      ['/hash', HASHES],
      ['/compute', [10]],
    ]);
    simulation.run(1000);
    over.length = 0;
    simulation.run(1000);
    expect(simulation.countOpen('/compute')).toBeLessThanOrEqual(1);
    // What computes has the GIL for 10 ms of 50.25 that two cores have for each pair, were there nothing to wait for.
    expect(rateOf(over, 1001, 2001)).toBeGreaterThan(60);
  });
});

describe('a request that is the next of a worker', () => {
  const fill = (simulation: Simulation) => {
    simulation.keepAsking(2, [['/', WAITS]]);
    simulation.run(50);
    simulation.onFinish = () => {};
    while (simulation.open > 0) simulation.run(1);
  };

  test('goes to the first that is idle, whichever it was given to', () => {
    const simulation = new Simulation(2, GIL);
    fill(simulation);
    simulation.ask('/', [0.25, -40]);
    simulation.ask('/', [0.25, -10]);
    const next = simulation.ask('/', WAITS);
    const after = simulation.ask('/', WAITS);
    simulation.run(40);
    expect(next.latencyMs).toBeLessThan(22);
    expect(after.latencyMs).toBeLessThan(33);
  });

  test('does not wait for one that is stuck', () => {
    const simulation = new Simulation(2, GIL);
    fill(simulation);
    simulation.ask('/', [0.25, -1000]);
    // One runs, one is the next behind it, and one behind the stuck one, all the time.
    simulation.keepAsking(3, [['/', WAITS]]);
    const waited: number[] = [];
    const { onFinish } = simulation;
    simulation.onFinish = (job) => {
      waited.push(job.latencyMs);
      onFinish(job);
    };
    simulation.run(300);
    expect(Math.max(...waited)).toBeLessThan(60);
    expect(waited.length).toBeGreaterThan(25);
    expect(simulation.workers.map(({ load }) => load).sort()).toEqual([1, 2]);
  });
});

describe('requests of several kinds', () => {
  test('that compute and wait keep one thread computing while others wait', () => {
    const simulation = new Simulation(8, GIL);
    const over = simulation.keepAsking(16, [['/', BOTH]]);
    simulation.run(1000);
    expect(rateOf(over, 501, 1001)).toBeGreaterThan(950);
  });

  test('one half that waits is not held up by the other half, which computes', () => {
    const simulation = new Simulation(8, GIL);
    const over = simulation.keepAsking(8, [
      ['/compute', [10]],
      ['/wait', WAITS],
    ]);
    simulation.run(500);
    over.length = 0;
    simulation.run(1000);
    const waited = over.filter(({ target }) => target === '/wait').map(({ latencyMs }) => latencyMs);
    expect(Math.max(...waited)).toBeLessThan(30);
    // The GIL is the limit: 10 ms for one and 0.25 for the other.
    expect(rateOf(over, 501, 1501)).toBeGreaterThan(0.95 * 2 * (1000 / 10.25));
    expect(simulation.countOpen('/compute')).toBeLessThanOrEqual(2);
  });

  test('a path that is asked for the first time does what its folder did', () => {
    const simulation = new Simulation(8, GIL);
    for (let user = 0; user < 4; user += 1) {
      simulation.ask(`/users/${user}`, WAITS);
      simulation.ask('/', COMPUTES);
      simulation.run(20);
    }
    for (let user = 10; user < 18; user += 1) simulation.ask(`/users/${user}?page=1`, WAITS);
    expect(simulation.open).toBe(8);
  });
});

describe('an application that changes its manner', () => {
  test('fills all workers, or keeps to one, as soon as it is seen: after the requests that were open, and a few', () => {
    const simulation = new Simulation(8, GIL);
    const over = simulation.keepAsking(16, [['/', WAITS]]);
    simulation.run(200);
    expect(simulation.open).toBe(8);
    const { onFinish } = simulation;
    simulation.onFinish = (job) => {
      over.push(job);
      simulation.ask('/', COMPUTES);
    };
    over.length = 0;
    // Sixteen had been asked for before, and waited.
    while (over.length < 16 + 24) simulation.run(1);
    expect(simulation.open).toBe(1);
    simulation.onFinish = onFinish;
    over.length = 0;
    while (over.length < 16 + 8) simulation.run(1);
    expect(simulation.open).toBe(8);
  });
});
