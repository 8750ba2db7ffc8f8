// Which of several workers that run side by side gets a request: the choice alone.
import { describe, expect, test } from 'vitest';
import { chooseWorker } from '../../../dist/src/dispatch/policy.js';
import { PARALLEL } from './simulation.js';

const SHORT_QUEUE = { ...PARALLEL, prefetch: 4 };

const worker = (load: number, busySince = 0, lastUsed = 0, serviceMs = 1) => ({
  load,
  busySince,
  lastUsed,
  serviceMs,
});

describe('choosing a worker', () => {
  test('prefers an idle one, and among idle ones the most recently used', () => {
    const [busy, cold, warm] = [worker(1, 9), worker(0, 0, 1), worker(0, 0, 5)];
    expect(chooseWorker([busy, cold, warm], 10, SHORT_QUEUE)).toBe(warm);
  });

  test('queues behind the least loaded one when all are busy', () => {
    const [more, less] = [worker(3, 9), worker(2, 9)];
    expect(chooseWorker([more, less], 10, SHORT_QUEUE)).toBe(less);
  });

  test('wakes nobody for work that is done sooner than another has woken up', () => {
    const idle = worker(0);
    const [hot, full] = [worker(4, 9, 0, 0.05), worker(5, 9, 0, 0.05)];
    expect(chooseWorker([hot, idle], 10, SHORT_QUEUE)).toBe(hot);
    expect(chooseWorker([full, idle], 10, SHORT_QUEUE)).toBe(idle);
    expect(chooseWorker([worker(3, 9, 0, 0.1), idle], 10, SHORT_QUEUE)).toBe(idle);
    expect(chooseWorker([worker(1, 1, 0, 0.05), idle], 10, SHORT_QUEUE)).toBe(idle);
  });

  test('never queues behind a slow one', () => {
    expect(chooseWorker([worker(1, 1)], 10, SHORT_QUEUE)).toBeNull();
    expect(chooseWorker([worker(1, 1), worker(2, 9)], 10, SHORT_QUEUE)).toMatchObject({ load: 2 });
  });

  test('leaves the request in the backlog when all are full', () => {
    expect(chooseWorker([worker(5, 9), worker(5, 9)], 10, SHORT_QUEUE)).toBeNull();
  });

  test('an asynchronous worker takes as many as it may run', () => {
    const policy = { ...SHORT_QUEUE, concurrency: 3 };
    expect(chooseWorker([worker(2, 1)], 10, policy)).toMatchObject({ load: 2 });
    expect(chooseWorker([worker(3, 1)], 10, policy)).toBeNull();
  });
});
