// Whether requests that compute hold the GIL: who is asked, when, and what is learned from the answer.
import { describe, expect, test } from 'vitest';
import { GilProbe, type ProbedWorker } from '../../../dist/src/dispatch/gil-probe.js';
import { type Manner, Manners } from '../../../dist/src/dispatch/manners.js';

interface Job {
  readonly target: string;
  readonly manner: Manner;
}

class FakeWorker implements ProbedWorker<Job> {
  busySince = 0;
  lastUsed = 0;
  serviceMs = 1;
  asked = 0;
  foundGilFree = false;
  running: Job | null = null;

  get load(): number {
    return this.running === null ? 0 : 1;
  }

  askForGil(): void {
    this.asked += 1;
    this.foundGilFree = false;
  }
}

/** A busy worker and an idle one, a probe, and time that passes when it is told to. */
class Scene {
  nowMs = 100;
  freed = 0;
  readonly manners = new Manners();
  readonly busy = new FakeWorker();
  readonly idle = new FakeWorker();
  readonly #timers: { at: number; callback: () => void }[] = [];
  readonly #probe = new GilProbe<Job, FakeWorker>(
    {
      now: () => this.nowMs,
      after: (ms, callback) => void this.#timers.push({ at: this.nowMs + ms, callback }),
    },
    this.manners,
  );

  /** A request that was seen to compute for so long begins to run. */
  run(target: string, computeMs: number, worker = this.busy): void {
    for (let count = 0; count < 4; count += 1) this.manners.learn(target, { busy: 1, computeMs });
    worker.running = { target, manner: this.manners.find(target) };
    worker.busySince = this.nowMs;
  }

  look(workers: readonly FakeWorker[] = [this.busy, this.idle]): void {
    this.#probe.look(workers, () => {
      this.freed += 1;
    });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const timer of this.#timers.splice(0)) {
      if (timer.at <= this.nowMs) timer.callback();
      else this.#timers.push(timer);
    }
  }

  /** Looks until it has been answered so often. */
  answer(times: number, isFree: boolean): void {
    for (const before = this.idle.asked; this.idle.asked < before + times; ) {
      this.pass(10);
      this.look();
      this.idle.foundGilFree = isFree;
      this.pass(2);
    }
  }
}

describe('a worker that has nothing to do', () => {
  test('is asked beside one that has been computing for a moment', () => {
    const scene = new Scene();
    scene.run('/', 20);
    scene.look();
    expect(scene.idle.asked).toBe(0);
    scene.pass(1);
    scene.look();
    scene.look();
    expect(scene.idle.asked).toBe(1);
  });

  test('is not asked beside what is usually over before it could answer: what lasts says nothing of the rest', () => {
    const scene = new Scene();
    scene.run('/', 2.5);
    scene.pass(20);
    scene.look();
    expect(scene.idle.asked).toBe(0);
    scene.run('/', 200);
    scene.pass(20);
    scene.look();
    expect(scene.idle.asked).toBe(1);
  });

  test('is not asked beside one that waits', () => {
    const scene = new Scene();
    scene.run('/', 20);
    for (let count = 0; count < 20; count += 1) scene.manners.learn('/', { busy: 0.1, computeMs: 20 });
    scene.pass(20);
    scene.look();
    expect(scene.idle.asked).toBe(0);
  });
});

describe('what computes', () => {
  test('holds the GIL until it was found free, and then does not', () => {
    const scene = new Scene();
    scene.run('/', 20);
    scene.answer(3, false);
    expect(scene.manners.find('/')).toMatchObject({ share: 1, native: 0 });
    expect(scene.freed).toBe(0);
    scene.answer(8, true);
    expect(scene.manners.find('/').native).toBeGreaterThan(0.85);
    expect(scene.freed).toBe(8);
  });

  test('is not judged by an answer that came when its request was over', () => {
    const scene = new Scene();
    scene.run('/', 20);
    scene.pass(1);
    scene.look();
    scene.idle.foundGilFree = true;
    scene.busy.running = null;
    scene.pass(2);
    expect(scene.manners.find('/').share).toBe(1);
    expect(scene.freed).toBe(0);
  });

  test('is not blamed for a GIL that another one may hold', () => {
    const scene = new Scene();
    scene.run('/hash', 20);
    scene.answer(8, true);
    const native = scene.manners.find('/hash').native;
    const other = new FakeWorker();
    scene.run('/compute', 20, other);
    scene.pass(100);
    scene.look([scene.busy, other, scene.idle]);
    scene.pass(2);
    expect(scene.idle.asked).toBe(9);
    expect(scene.manners.find('/hash').native).toBe(native);
  });
});
