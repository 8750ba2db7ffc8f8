/** Main thread. Calls the hooks of a config file. What goes wrong in one is logged, and nobody else's business. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from '../contract/errors.js';
import type { Log } from '../log.js';
import type { HookName, Hooks } from '../settings/hooks.js';
import type { FinishedRequest } from './finished-request.js';

/** How long the server waits for a hook, where it does. Milliseconds. */
const PATIENCE_MS = 30_000;
/** One that fails at each request must not fill the disk. Milliseconds. */
const BETWEEN_LINES_MS = 1000;

export class HookRunner {
  readonly #hooks: Hooks;
  readonly #log: Log;
  /** When a hook's failure was last logged. */
  readonly #loggedAt = new Map<HookName, number>();

  constructor(hooks: Hooks, log: Log) {
    this.#hooks = hooks;
    this.#log = log;
  }

  has(name: HookName): boolean {
    return this.#hooks[name] !== undefined;
  }

  /** Calls it, and does not wait for it. */
  call<N extends HookName>(name: N, ...event: Parameters<NonNullable<Hooks[N]>>): void {
    void this.#run(name, event);
  }

  /** Calls it, and resolves when it is through, or takes too long. Never rejects. */
  async callAndWait(name: HookName): Promise<void> {
    const timer = new AbortController();
    const patience = sleep(PATIENCE_MS, false, { signal: timer.signal, ref: false }).catch(() => false);
    const isOver = await Promise.race([this.#run(name, []).then(() => true), patience]);
    timer.abort();
    if (!isOver)
      this.#log.warn(`the hook ${name} takes longer than ${PATIENCE_MS / 1000} s: going on without it`);
  }

  requestEnded(request: FinishedRequest): void {
    const { requestId: id, mount, method, url, status, remoteAddress } = request;
    const { bytesSent, bytesReceived, durationMs, waitMs } = request;
    const ended = { id, mount, method, url, status, remoteAddress };
    this.call('onRequestEnd', { ...ended, bytesSent, bytesReceived, durationMs, waitMs });
  }

  async #run(name: HookName, event: readonly unknown[]): Promise<void> {
    try {
      await (this.#hooks[name] as ((...event: readonly unknown[]) => unknown) | undefined)?.(...event);
    } catch (error) {
      this.#logFailure(name, error);
    }
  }

  #logFailure(name: HookName, error: unknown): void {
    const now = performance.now();
    if (now - (this.#loggedAt.get(name) ?? Number.NEGATIVE_INFINITY) < BETWEEN_LINES_MS) return;
    this.#loggedAt.set(name, now);
    this.#log.error({ err: error }, `the hook ${name} failed: ${describe(error)}`);
  }
}
