// When a request goes to another process, and when this one says that it could begin one: on simulated time.
import { describe, expect, test } from 'vitest';
import type { Elsewhere } from '../../../dist/src/dispatch/elsewhere.js';
import type { DispatchPolicy } from '../../../dist/src/dispatch/policy.js';
import { GIL, PARALLEL, type SimulatedJob, Simulation } from './simulation.js';

/** Other processes with room for so many requests. */
class Others implements Elsewhere<SimulatedJob> {
  room: number;
  isVacantHere = false;
  readonly taken: SimulatedJob[] = [];

  constructor(room: number) {
    this.room = room;
  }

  get hasRoom(): boolean {
    return this.room > 0;
  }

  tell(isVacant: boolean): void {
    this.isVacantHere = isVacant;
  }

  take(job: SimulatedJob): boolean {
    if (this.room === 0) return false;
    this.room -= 1;
    this.taken.push(job);
    job.drop();
    return true;
  }
}

function simulate(threads: number, policy: DispatchPolicy, room: number) {
  const others = new Others(room);
  const own = { ...policy, isAlone: threads === 1 };
  return { others, simulation: new Simulation(threads, own, 10_000, 0, others) };
}

describe('a request', () => {
  test('stays while those before it are quick', () => {
    const { others, simulation } = simulate(1, PARALLEL, 9);
    simulation.keepAsking(8, [['/', [1]]]);
    simulation.run(100);
    expect(others.taken).toEqual([]);
  });

  test('leaves where so many quick ones are before it that it would wait for long', () => {
    const { others, simulation } = simulate(1, PARALLEL, 9);
    const jobs = Array.from({ length: 12 }, () => simulation.ask('/', [1]));
    expect(others.taken).toEqual(jobs.slice(10));
    simulation.run(5);
    for (let count = 0; count < 5; count += 1) simulation.ask('/', [1]);
    expect(others.taken).toHaveLength(2);
  });

  test('stays behind some that each take a little, and leaves behind more', () => {
    const { others, simulation } = simulate(2, PARALLEL, 9);
    simulation.keepAsking(2, [['/', [4]]]);
    simulation.run(4000);
    const jobs = Array.from({ length: 6 }, () => simulation.ask('/', [4]));
    expect(others.taken).toEqual(jobs.slice(4));
  });

  test('leaves once the one before it turns out slow, and at once where that is known', () => {
    const { others, simulation } = simulate(1, PARALLEL, 9);
    simulation.ask('/slow', [200]);
    const early = simulation.ask('/early', [1]);
    simulation.run(4);
    expect(others.taken).toEqual([]);
    simulation.run(7);
    expect(others.taken).toEqual([early]);
    const late = simulation.ask('/late', [1]);
    expect(others.taken).toEqual([early, late]);
  });

  test('stays while nobody has room, and leaves when somebody has', () => {
    const { others, simulation } = simulate(1, PARALLEL, 0);
    simulation.ask('/slow', [200]);
    const waiting = [simulation.ask('/one', [1]), simulation.ask('/two', [1])];
    simulation.run(50);
    expect(others.taken).toEqual([]);
    others.room = 1;
    simulation.run(6);
    expect(others.taken).toEqual(waiting.slice(0, 1));
    simulation.run(200);
    expect(waiting[1]?.state).toBe('over');
    expect(others.taken).toHaveLength(1);
  });

  test('stays in a worker that is somewhat slow while nobody has room, and waits for another behind one that is stuck', () => {
    const { others, simulation } = simulate(1, PARALLEL, 0);
    simulation.ask('/slow', [200]);
    const waiting = simulation.ask('/one', [1]);
    simulation.run(40);
    expect(waiting.state).toBe('sent');
    simulation.run(20);
    expect(waiting.state).toBe('waiting');
    others.room = 1;
    simulation.run(6);
    expect(others.taken).toEqual([waiting]);
  });

  test('leaves rather than be refused by a full backlog', () => {
    const others = new Others(1);
    const simulation = new Simulation(1, PARALLEL, 0, 0, others);
    simulation.ask('/slow', [200]);
    simulation.run(10);
    simulation.ask('/one', [1]);
    expect(others.taken).toHaveLength(1);
    expect(() => simulation.ask('/two', [1])).toThrow(expect.objectContaining({ code: 'LIDO_BACKLOG_FULL' }));
  });

  test('leaves a thread that is free where another one is known to keep the GIL', () => {
    const { others, simulation } = simulate(2, GIL, 0);
    const learnt = simulation.ask('/long', [50]);
    while (learnt.state !== 'over') simulation.run(1);
    others.room = 9;
    simulation.ask('/long', [50]);
    const quick = simulation.ask('/quick', [1]);
    expect(others.taken).toEqual([quick]);
  });
});

describe('this process', () => {
  test('has room while a worker is free', () => {
    const { others, simulation } = simulate(2, PARALLEL, 0);
    expect(others.isVacantHere).toBe(true);
    simulation.ask('/', [20]);
    expect(others.isVacantHere).toBe(true);
    simulation.ask('/', [20]);
    expect(others.isVacantHere).toBe(false);
    simulation.run(30);
    expect(others.isVacantHere).toBe(true);
  });

  test('has none while one that is known to compute for long has the GIL', () => {
    const { others, simulation } = simulate(2, GIL, 0);
    const learnt = simulation.ask('/long', [50]);
    while (learnt.state !== 'over') simulation.run(1);
    expect(others.isVacantHere).toBe(true);
    simulation.ask('/long', [50]);
    expect(others.isVacantHere).toBe(false);
    simulation.run(60);
    expect(others.isVacantHere).toBe(true);
  });
});
