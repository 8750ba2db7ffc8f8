// The dispatcher itself, on simulated time with simulated workers that run side by side.
import { describe, expect, test } from 'vitest';
import { LidoError } from '../../../dist/src/contract/errors.js';
import { GIL, PARALLEL, SimulatedJob, Simulation } from './simulation.js';

const jobs = (count: number, makeJob: (index: number) => SimulatedJob) =>
  Array.from({ length: count }, (_, index) => makeJob(index));

describe('workers side by side', () => {
  test('a slow request does not hold up tiny ones, however many are queued behind it', () => {
    const slow = new SimulatedJob('/slow', [500], 1);
    const tiny = jobs(40, (index) => new SimulatedJob('/tiny', [1], 2 + index));
    new Simulation(2, PARALLEL).runAll([slow, ...tiny]);
    for (const job of tiny) expect(job.latencyMs).toBeLessThan(30);
    expect(slow.finishedMs).toBe(501);
  });

  test('tiny requests behind slow ones on every worker go to the first that is free', () => {
    const slow = [new SimulatedJob('/slow', [300], 1), new SimulatedJob('/slow', [100], 1)];
    const tiny = jobs(8, () => new SimulatedJob('/tiny', [1], 2));
    new Simulation(2, PARALLEL).runAll([...slow, ...tiny]);
    for (const job of tiny) expect(job.finishedMs).toBeLessThan(120);
  });

  test('a few slow ones among quick ones keep every worker awake', () => {
    const mixed = jobs(300, (index) => new SimulatedJob('/', [index % 50 === 0 ? 40 : 1], 1 + index));
    const simulation = new Simulation(2, PARALLEL);
    simulation.runAll(mixed);
    for (const worker of simulation.workers) expect(worker.served).toBeGreaterThan(0);
    for (const job of mixed.filter(({ computedMs }) => computedMs === 1))
      expect(job.latencyMs).toBeLessThan(10);
  });

  test('equal work is shared by all workers', () => {
    const equal = jobs(40, () => new SimulatedJob('/', [10], 1));
    new Simulation(4, PARALLEL).runAll(equal);
    expect(Math.max(...equal.map(({ finishedMs }) => finishedMs))).toBeLessThanOrEqual(115);
  });
});

describe.each([
  ['side by side', PARALLEL],
  ['under one GIL', GIL],
])('whatever the workers share (%s)', (_name, policy) => {
  test('the backlog has its limit, and what waits in a worker counts', () => {
    const simulation = new Simulation(1, policy, 3);
    for (let count = 0; count < 4; count += 1) simulation.ask('/', [100]);
    expect(() => simulation.ask('/', [100])).toThrow(expect.objectContaining({ code: 'LIDO_BACKLOG_FULL' }));
    expect(simulation.dispatcher.waiting).toBe(3);
  });

  test('what was sent and what is in the backlog are all there are, each counted once', () => {
    const simulation = new Simulation(2, policy);
    for (let count = 0; count < 9; count += 1) simulation.ask('/', [20]);
    simulation.run(7);
    expect(simulation.dispatcher.sent + simulation.dispatcher.inBacklog).toBe(9);
  });

  test('a request that is given up in the backlog is never run', async () => {
    const simulation = new Simulation(1, { ...policy, prefetch: 0 });
    const [first, second, third] = [1, 2, 3].map(() => simulation.ask('/', [10])) as SimulatedJob[];
    simulation.dispatcher.giveUp(second as SimulatedJob);
    await Promise.all([simulation.dispatcher.whenIdle(), simulation.run(50)]);
    expect([first, second, third].map((job) => job?.computedMs)).toEqual([10, 0, 10]);
  });

  test('who has waited for too long is refused, and the others are answered in their turn', () => {
    const simulation = new Simulation(1, { ...policy, prefetch: 0 }, 10_000, 250);
    const all = jobs(5, () => simulation.ask('/', [100]));
    simulation.run(1000);
    const refused = all.filter(({ error }) => error !== null);
    expect(refused.map(({ error }) => error?.code)).toEqual(['LIDO_WAITED_TOO_LONG', 'LIDO_WAITED_TOO_LONG']);
    expect(all.slice(0, 3).map(({ computedMs }) => computedMs)).toEqual([100, 100, 100]);
    expect(refused.map(({ computedMs }) => computedMs)).toEqual([0, 0]);
  });

  test('who is refused learns how long it takes to answer those before, as fast as others were answered', () => {
    const simulation = new Simulation(1, { ...policy, prefetch: 0 }, 50);
    // One a fifth of a second, and 50 wait.
    simulation.keepAsking(51, [['/', [200]]]);
    simulation.run(6000);
    expect(() => simulation.ask('/', [200])).toThrow(
      expect.objectContaining({ code: 'LIDO_BACKLOG_FULL', retryAfter: 10 }),
    );
  });

  test('where nobody is answered, who is refused is told to stay away for as long as that has lasted', () => {
    const simulation = new Simulation(1, { ...policy, prefetch: 0 }, 1);
    for (let count = 0; count < 2; count += 1) simulation.ask('/', [60_000]);
    const retryAfter = (seconds: number) => expect.objectContaining({ retryAfter: seconds });
    expect(() => simulation.ask('/', [1])).toThrow(retryAfter(1));
    simulation.run(4100);
    expect(() => simulation.ask('/', [1])).toThrow(retryAfter(5));
  });

  test('what a lost worker had not begun is run by another, and what it ran fails', () => {
    const simulation = new Simulation(2, policy);
    const all = jobs(6, () => simulation.ask('/', [4]));
    simulation.run(1);
    const lost = simulation.workers.find(({ load }) => load > 0) as Simulation['workers'][number];
    const ran = lost.running as SimulatedJob;
    simulation.dispatcher.loseSession(lost, new LidoError('LIDO_WORKER_DIED', ['for a test']));
    simulation.run(50);
    expect(ran.error?.code).toBe('LIDO_WORKER_DIED');
    for (const job of all.filter((one) => one !== ran)) expect(job.computedMs).toBe(4);
  });

  test('with no worker left, and none to come, all are answered at once', () => {
    const simulation = new Simulation(1, { ...policy, prefetch: 0 });
    const [ran, waited] = [simulation.ask('/', [10]), simulation.ask('/', [10])];
    const error = new LidoError('LIDO_NO_WORKER', ['for a test']);
    simulation.dispatcher.loseSession(simulation.workers[0] as never, error);
    simulation.dispatcher.declareUnavailable(error);
    expect([ran.error, waited.error]).toEqual([error, error]);
    expect(() => simulation.ask('/', [1])).toThrow(error);
  });
});
