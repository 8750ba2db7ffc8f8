/** Main thread. [4] Wakes a Python worker without a loop, which sleeps wherever there is nothing for it. */
import { closeSync, writeSync } from 'node:fs';
import { AT_BELL, OUTSIDE, RUNG, SLEEPING } from '../contract/protocol.js';

const ONE = Buffer.from([1]);

/** Microseconds of the system's monotonic clock, which Python reads too, at performance.now() 0. */
const CLOCK_ORIGIN = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;

export class Alarm {
  readonly #control: Int32Array;
  /** Null before the worker is ready, and once it is over. */
  #bell: number | null = null;

  constructor(control: Int32Array) {
    this.#control = control;
  }

  /** The worker sleeps at the other end of this descriptor. */
  open(bell: number): void {
    this.#bell = bell;
  }

  /** Nobody is woken any more. Idempotent. */
  close(): void {
    if (this.#bell !== null) closeSync(this.#bell);
    this.#bell = null;
  }

  /** Call it after what the worker is to see was stored. */
  wake(): void {
    const control = this.#control;
    if (Atomics.load(control, SLEEPING) === 0) return;
    control[RUNG] = performance.now() * 1000 + CLOCK_ORIGIN;
    const place = Atomics.exchange(control, SLEEPING, 0);
    if (place === AT_BELL) this.#ring();
    else if (place === OUTSIDE) Atomics.notify(control, SLEEPING);
  }

  #ring(): void {
    if (this.#bell === null) return;
    try {
      writeSync(this.#bell, ONE);
    } catch {
      // Its worker has ended, or looks for itself because it has slept for long.
    }
  }
}
