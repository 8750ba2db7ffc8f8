// The policy alone, in simulated time: arrivals and service times are given, the clock is ours.
import { describe, expect, test } from 'vitest';
import {
  chooseWorker,
  countToSteal,
  type DispatchPolicy,
  isSlow,
  isWorthWaking,
} from '../../../dist/src/dispatch/policy.js';

const PARALLEL: DispatchPolicy = {
  concurrency: 1,
  prefetch: 4,
  sharedGil: false,
  slowMs: 5,
  worthWakingMs: 0.25,
};
const GIL: DispatchPolicy = { ...PARALLEL, sharedGil: true };

interface Job {
  readonly arrives: number;
  readonly takes: number;
}

interface Worker {
  queue: { job: Job; finish: (at: number) => void }[];
  load: number;
  busySince: number;
  lastUsed: number;
  serviceMs: number;
}

/** Runs jobs through the policy as the dispatcher applies it; returns when each was finished, and how many workers ran. */
function simulate(jobs: readonly Job[], count: number, policy: DispatchPolicy) {
  const workers: Worker[] = Array.from({ length: count }, () => ({
    queue: [],
    load: 0,
    busySince: 0,
    lastUsed: 0,
    serviceMs: 1,
  }));
  const finished = new Map<Job, number>();
  const used = new Set<Worker>();
  const backlog: Job[] = [];
  const arrivals = [...jobs].sort((a, b) => a.arrives - b.arrives);
  const give = (worker: Worker, job: Job, now: number) => {
    if (worker.load === 0) worker.busySince = now;
    worker.queue.push({ job, finish: (at) => finished.set(job, at) });
    worker.load += 1;
    used.add(worker);
  };
  const drain = (now: number) => {
    while (backlog.length > 0) {
      const worker = chooseWorker(workers, now, policy);
      if (worker === null) return;
      give(worker, backlog.shift() as Job, now);
    }
  };
  for (let now = 1; finished.size < jobs.length && now < 100_000; now += 1) {
    for (const worker of workers) {
      const running = worker.queue[0];
      if (running === undefined || now - worker.busySince < running.job.takes) continue;
      running.finish(now);
      worker.serviceMs += (running.job.takes - worker.serviceMs) / 128;
      worker.queue.shift();
      worker.load -= 1;
      worker.lastUsed = now;
      worker.busySince = worker.load === 0 ? 0 : now;
    }
    for (const worker of workers) {
      if (worker.load > policy.concurrency && isSlow(worker, now, policy)) {
        backlog.unshift(...worker.queue.splice(policy.concurrency).map(({ job }) => job));
        worker.load = policy.concurrency;
      }
    }
    while (arrivals[0] !== undefined && arrivals[0].arrives <= now) backlog.push(arrivals.shift() as Job);
    drain(now);
    for (const idle of workers) {
      if (policy.sharedGil || idle.load > 0) continue;
      const busiest = workers.reduce((most, worker) => (worker.load > most.load ? worker : most));
      if (!isWorthWaking(busiest, policy)) continue;
      const stolen = busiest.queue.splice(policy.concurrency, countToSteal(busiest, policy));
      busiest.load -= stolen.length;
      for (const { job } of stolen) give(idle, job, now);
    }
  }
  return { finishedAt: (job: Job) => finished.get(job) ?? Number.POSITIVE_INFINITY, workersUsed: used.size };
}

const worker = (load: number, busySince = 0, lastUsed = 0, serviceMs = 1) => ({
  load,
  busySince,
  lastUsed,
  serviceMs,
});

describe('choosing a worker', () => {
  test('prefers an idle one, and among idle ones the most recently used', () => {
    const [busy, cold, warm] = [worker(1, 9), worker(0, 0, 1), worker(0, 0, 5)];
    expect(chooseWorker([busy, cold, warm], 10, PARALLEL)).toBe(warm);
  });

  test('queues behind the least loaded one when all are busy', () => {
    const [more, less] = [worker(3, 9), worker(2, 9)];
    expect(chooseWorker([more, less], 10, PARALLEL)).toBe(less);
  });

  test('wakes nobody for work that is done sooner than another has woken up', () => {
    const idle = worker(0);
    const [hot, full] = [worker(4, 9, 0, 0.05), worker(5, 9, 0, 0.05)];
    expect(chooseWorker([hot, idle], 10, PARALLEL)).toBe(hot);
    expect(chooseWorker([full, idle], 10, PARALLEL)).toBe(idle);
    expect(chooseWorker([worker(3, 9, 0, 0.1), idle], 10, PARALLEL)).toBe(idle);
    expect(chooseWorker([worker(1, 1, 0, 0.05), idle], 10, PARALLEL)).toBe(idle);
  });

  test('never queues behind a slow one', () => {
    expect(chooseWorker([worker(1, 1)], 10, PARALLEL)).toBeNull();
    expect(chooseWorker([worker(1, 1), worker(2, 9)], 10, PARALLEL)).toMatchObject({ load: 2 });
  });

  test('leaves the request in the backlog when all are full', () => {
    expect(chooseWorker([worker(5, 9), worker(5, 9)], 10, PARALLEL)).toBeNull();
  });

  test('under a shared GIL keeps to the hot worker while it is quick', () => {
    const [hot, idle] = [worker(1, 9), worker(0)];
    expect(chooseWorker([hot, idle], 10, GIL)).toBe(hot);
    expect(chooseWorker([worker(5, 9), idle], 10, GIL)).toBeNull();
  });

  test('under a shared GIL opens another worker once the hot one is slow', () => {
    const idle = worker(0);
    expect(chooseWorker([worker(1, 1), idle], 10, GIL)).toBe(idle);
  });

  test('an asynchronous worker takes as many as it may run', () => {
    const policy = { ...PARALLEL, concurrency: 3 };
    expect(chooseWorker([worker(2, 1)], 10, policy)).toMatchObject({ load: 2 });
    expect(chooseWorker([worker(3, 1)], 10, policy)).toBeNull();
  });
});

describe('in simulated time', () => {
  test('a slow request does not hold up tiny ones, however many are queued behind it', () => {
    const slow = { arrives: 1, takes: 500 };
    const tiny = Array.from({ length: 40 }, (_, index) => ({ arrives: 2 + index, takes: 1 }));
    const { finishedAt } = simulate([slow, ...tiny], 2, PARALLEL);
    for (const job of tiny) expect(finishedAt(job) - job.arrives).toBeLessThan(30);
    expect(finishedAt(slow)).toBe(501);
  });

  test('tiny requests behind slow ones on every worker go to the first that is free', () => {
    const slow = [
      { arrives: 1, takes: 300 },
      { arrives: 1, takes: 100 },
    ];
    const tiny = Array.from({ length: 8 }, () => ({ arrives: 2, takes: 1 }));
    const { finishedAt } = simulate([...slow, ...tiny], 2, PARALLEL);
    for (const job of tiny) expect(finishedAt(job)).toBeLessThan(120);
  });

  test('a few slow ones among quick ones keep every worker awake', () => {
    const jobs = Array.from({ length: 300 }, (_, index) => ({
      arrives: 1 + index,
      takes: index % 50 === 0 ? 40 : 1,
    }));
    const { finishedAt, workersUsed } = simulate(jobs, 2, PARALLEL);
    expect(workersUsed).toBe(2);
    for (const job of jobs.filter(({ takes }) => takes === 1))
      expect(finishedAt(job) - job.arrives).toBeLessThan(8);
  });

  test('equal work is shared by all workers', () => {
    const jobs = Array.from({ length: 40 }, () => ({ arrives: 1, takes: 10 }));
    const { finishedAt } = simulate(jobs, 4, PARALLEL);
    expect(Math.max(...jobs.map(finishedAt))).toBeLessThanOrEqual(115);
  });

  test('quick requests under a shared GIL keep to one worker', () => {
    const jobs = Array.from({ length: 200 }, (_, index) => ({ arrives: 1 + index, takes: 1 }));
    expect(simulate(jobs, 8, GIL).workersUsed).toBe(1);
  });

  test('requests that wait for I/O under a shared GIL spread over the workers', () => {
    const jobs = Array.from({ length: 8 }, () => ({ arrives: 1, takes: 50 }));
    const { finishedAt, workersUsed } = simulate(jobs, 8, GIL);
    expect(workersUsed).toBe(8);
    expect(Math.max(...jobs.map(finishedAt))).toBeLessThan(110);
  });
});
