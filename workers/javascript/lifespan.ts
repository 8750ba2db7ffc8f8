// Worker thread. The start and the end that a JavaScript application exports beside itself: once in each worker.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, LidoError, traceOf } from '../../src/contract/errors.js';
import type { LifespanHook } from '../../src/contract/wsgi.js';

export class Lifespan {
  readonly #startup: LifespanHook | null;
  readonly #shutdown: LifespanHook | null;

  constructor(startup: LifespanHook | null, shutdown: LifespanHook | null) {
    this.#startup = startup;
    this.#shutdown = shutdown;
  }

  /** The application wants to be told of its end, which is waited for. */
  get hasEnd(): boolean {
    return this.#shutdown !== null;
  }

  /** Before the first request. Rejects with LIDO_STARTUP_FAILED. */
  async start(): Promise<void> {
    try {
      await this.#startup?.();
    } catch (error) {
      const options = { cause: error, traceback: traceOf(error) };
      throw new LidoError('LIDO_STARTUP_FAILED', [describe(error)], options);
    }
  }

  /** Behind the last request, at most so long. Resolves with what went wrong, or null. */
  async stop(limitMs: number): Promise<string | null> {
    const patience = new AbortController();
    try {
      const isOver = await Promise.race([
        this.#stop(),
        sleep(limitMs, false, { signal: patience.signal }).catch(() => false),
      ]);
      return isOver ? null : `the application's shutdown took longer than ${(limitMs / 1000).toFixed(1)} s`;
    } catch (error) {
      return `the application failed at its shutdown: ${traceOf(error)}`;
    } finally {
      patience.abort();
    }
  }

  async #stop(): Promise<true> {
    await this.#shutdown?.();
    return true;
  }
}
