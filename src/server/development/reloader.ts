/** Main thread of the supervisor, under --reload. Loads anew what somebody writes, and shows them what is wrong with it. */
import { relative } from 'node:path';
import { describe, LidoError } from '../../contract/errors.js';
import type { Log } from '../../log.js';
import type { Operated } from '../operated.js';
import { FileWatcher, hasBase } from './file-watcher.js';

/** So many files are named in the log; of a checkout the first ones. */
const MOST_NAMED = 3;

/** What is loaded still when something has changed since is given up after so long: it may never be. Milliseconds. */
const OLD_CODE_PATIENCE_MS = 3000;

/** What is needed of a supervisor. */
type Reloaded = Pick<Operated, 'reload' | 'abandonStart' | 'showFailure'>;

export class Reloader {
  readonly #log: Log;
  readonly #watcher: FileWatcher;
  #served: Reloaded | null = null;
  /** True also before it serves. */
  #isReloading = true;
  /** What changed meanwhile, for the next time. */
  #waiting: readonly string[] = [];
  /** Ends a load that does not end; set while one is under way and something has changed since. */
  #patience: NodeJS.Timeout | null = null;

  /** `files` are watched from the beginning on, `patterns` as FileWatcher has them. */
  constructor(files: readonly string[], patterns: readonly string[], log: Log) {
    this.#log = log;
    this.#watcher = new FileWatcher(patterns, (changed) => void this.#change(changed));
    this.#watcher.add(files, Date.now());
    for (const pattern of patterns)
      if (!hasBase(pattern)) log.warn(`reloadExtra: ${pattern}: there is no such folder or file yet`);
  }

  /** It is being started: changes are only seen, and end a start that does not end. */
  begin(served: Reloaded): void {
    this.#served = served;
  }

  /** It serves, and is reloaded from now on. */
  serve(): void {
    this.#isReloading = false;
    this.#stopWaiting();
    if (process.env.NODE_ENV === 'production')
      this.#log.warn('--reload is for development: it shows tracebacks to browsers on this machine');
    void this.#change([]);
  }

  /** A process has loaded these, at that moment or later. Date.now(). */
  add(files: readonly string[], since: number): void {
    this.#watcher.add(files, since);
  }

  /** One reload after the other; what changes during one is in the next. */
  async #change(changed: readonly string[]): Promise<void> {
    this.#waiting = [...this.#waiting, ...changed];
    const served = this.#served;
    if (served === null || this.#waiting.length === 0) return;
    if (this.#isReloading) {
      this.#patience ??= setTimeout(() => served.abandonStart?.(), OLD_CODE_PATIENCE_MS);
      return;
    }
    this.#isReloading = true;
    while (this.#waiting.length > 0) {
      const files = this.#waiting;
      this.#waiting = [];
      await this.#reload(served, files);
      this.#stopWaiting();
    }
    this.#isReloading = false;
  }

  #stopWaiting(): void {
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#patience = null;
  }

  /** Never rejects: whatever is wrong, the next save may be right. */
  async #reload(served: Reloaded, files: readonly string[]): Promise<void> {
    const began = performance.now();
    const what = nameFiles(files);
    try {
      await served.reload();
      const seconds = ((performance.now() - began) / 1000).toFixed(2);
      this.#log.info(`${what} changed: loaded anew in ${seconds} s`);
    } catch (error) {
      this.#tellFailure(served, what, error);
    }
  }

  #tellFailure(served: Reloaded, what: string, error: unknown): void {
    if (!(error instanceof LidoError)) {
      this.#log.error({ err: error }, `${what} changed, and cannot be served: ${describe(error)}`);
      return;
    }
    const { code, message, traceback } = error;
    if (code === 'LIDO_SHUTTING_DOWN') return;
    if (this.#waiting.length > 0) {
      this.#log.warn({ code }, `${what} changed, and has changed again: ${message}`);
      return;
    }
    this.#log.error({ code, traceback }, `${what} changed, and cannot be served: ${message}`);
    served.showFailure(error);
  }
}

function nameFiles(files: readonly string[]): string {
  const names = [...new Set(files)].map((file) => relative(process.cwd(), file));
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
