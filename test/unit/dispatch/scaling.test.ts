// Threads that come and go with the load, on simulated time: the real dispatcher and the real scaler.
import { describe, expect, test } from 'vitest';
import type { DispatchPolicy } from '../../../dist/src/dispatch/policy.js';
import { LOOK_EACH_MS, ThreadScaler } from '../../../dist/src/dispatch/scaler.js';
import { ScalingPolicy, type ThreadLimits, UNUSED_MS } from '../../../dist/src/dispatch/scaling.js';
import { type Doing, GIL, PARALLEL, Simulation } from './simulation.js';

interface Site {
  readonly simulation: Simulation;
  /** Each change so far: how many threads more, or fewer. */
  readonly changes: number[];
  /** How many there are. */
  readonly threads: () => number;
}

/** A simulation whose threads take `startMs` to start, and whose number is looked at all the time. */
function serve(
  limits: ThreadLimits,
  {
    policy = PARALLEL,
    startMs = 20,
    isSaturated = () => false,
  }: {
    policy?: DispatchPolicy;
    startMs?: number;
    isSaturated?: () => boolean;
  } = {},
): Site {
  const simulation = new Simulation(limits.min, policy);
  const changes: number[] = [];
  let starting = 0;
  const pool = {
    get starting() {
      return starting;
    },
    grow(count: number) {
      starting += count;
      for (let left = count; left > 0; left -= 1)
        simulation.after(startMs, () => {
          starting -= 1;
          simulation.addWorker();
        });
    },
    shrink(count: number) {
      let ended = 0;
      while (ended < count && simulation.removeIdle()) ended += 1;
      return ended;
    },
  };
  const { dispatcher } = simulation;
  const scaled = (change: number) => void changes.push(change);
  const scaler = new ThreadScaler({ limits, dispatcher, pool, isSaturated, scaled }, simulation.now());
  const look = () => {
    scaler.look(simulation.now());
    simulation.after(LOOK_EACH_MS, look);
  };
  look();
  return { simulation, changes, threads: () => simulation.workers.length };
}

const waits: Doing = [-100];
const computes: Doing = [10];
const quick: Doing = [1];

/** Clients that ask again and again, for so long; then they are answered and gone. */
function ask({ simulation }: Site, clients: number, doing: Doing, forMs: number): void {
  const over = simulation.keepAsking(clients, [['/', doing]]);
  simulation.run(forMs);
  simulation.onFinish = (job) => void over.push(job);
  simulation.run(200 * clients);
}

describe('threads are added', () => {
  test('while requests wait for one, to as many as are of use', () => {
    const site = serve({ min: 1, max: 16 });
    site.simulation.keepAsking(8, [['/', waits]]);
    site.simulation.run(1000);
    expect(site.threads()).toBeGreaterThanOrEqual(8);
    expect(site.threads()).toBeLessThanOrEqual(9);
    const after = site.threads();
    site.simulation.run(5000);
    expect(site.threads()).toBe(after);
  });

  test('up to the limit and no further', () => {
    const site = serve({ min: 2, max: 5 });
    site.simulation.keepAsking(40, [['/', waits]]);
    site.simulation.run(3000);
    expect(site.threads()).toBe(5);
  });

  test('under one GIL too, where they wait', () => {
    const site = serve({ min: 2, max: 16 }, { policy: GIL });
    site.simulation.keepAsking(12, [['/', [-400]]]);
    site.simulation.run(4000);
    expect(site.threads()).toBeGreaterThanOrEqual(10);
  });

  test('where quick ones that wait lie behind one another', () => {
    const site = serve({ min: 1, max: 16 });
    site.simulation.keepAsking(40, [['/', [-4]]]);
    site.simulation.run(1000);
    expect(site.threads()).toBeGreaterThan(1);
  });

  test('a step at a time: what was begun shows its effect first', () => {
    const site = serve({ min: 4, max: 64 }, { startMs: 2000 });
    site.simulation.keepAsking(100, [['/', waits]]);
    site.simulation.run(1900);
    expect(site.changes).toEqual([2]);
  });
});

describe('threads are not added', () => {
  test('under one GIL for requests that compute, however long they wait', () => {
    const site = serve({ min: 2, max: 16 }, { policy: GIL });
    site.simulation.keepAsking(40, [['/', computes]]);
    site.simulation.run(3000);
    expect(site.changes).toEqual([]);
  });

  test('while all processors are busy', () => {
    const site = serve({ min: 2, max: 16 }, { isSaturated: () => true });
    site.simulation.keepAsking(40, [['/', computes]]);
    site.simulation.run(3000);
    expect(site.changes).toEqual([]);
  });

  test('for a burst that is over sooner than a thread would be there', () => {
    const site = serve({ min: 2, max: 16 });
    for (let count = 0; count < 20; count += 1) {
      ask(site, 40, quick, 1);
      site.simulation.run(500);
    }
    expect(site.changes).toEqual([]);
  });
});

describe('threads are ended', () => {
  test('in steps once they were of no use for long, to the fewest that there may be', () => {
    const site = serve({ min: 2, max: 16 });
    ask(site, 12, waits, 2000);
    const most = site.threads();
    expect(most).toBeGreaterThanOrEqual(12);
    site.simulation.run(UNUSED_MS / 2);
    expect(site.threads()).toBe(most);
    // Until a whole such time has passed, and not only the end of one in which they were of use.
    site.simulation.run(1.5 * UNUSED_MS);
    expect(site.threads()).toBeLessThan(most);
    expect(site.threads()).toBeGreaterThan(2);
    site.simulation.run(6 * UNUSED_MS);
    expect(site.threads()).toBe(2);
  });

  test('but not those that a rush every few seconds needs: there is no to and fro', () => {
    const site = serve({ min: 2, max: 16 });
    for (let rush = 0; rush < 10; rush += 1) {
      ask(site, 10, waits, 500);
      site.simulation.run(8000);
    }
    const grown = site.changes.filter((change) => change > 0);
    expect(site.threads()).toBeGreaterThanOrEqual(10);
    expect(site.changes).toEqual(grown);
  });

  test('down to one more than were in use at once', () => {
    const policy = new ScalingPolicy({ min: 1, max: 16 }, 0);
    const load = { threads: 16, starting: 0, full: 5, waiting: 0, waitMs: 0, isSaturated: false };
    expect(policy.decide(load, UNUSED_MS)).toBe(-5);
    expect(policy.decide({ ...load, threads: 11 }, 2 * UNUSED_MS)).toBe(-3);
    expect(policy.decide({ ...load, threads: 8 }, 3 * UNUSED_MS)).toBe(-1);
    expect(policy.decide({ ...load, threads: 7 }, 4 * UNUSED_MS)).toBe(-1);
    expect(policy.decide({ ...load, threads: 6 }, 5 * UNUSED_MS)).toBe(0);
  });
});
