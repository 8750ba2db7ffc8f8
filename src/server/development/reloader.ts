/** Main thread of the supervisor, under --reload. Loads anew what somebody writes, and shows them what is wrong with it. */
import { relative } from 'node:path';
import { LidoError } from '../../contract/errors.js';
import type { Log } from '../../log.js';
import type { Operated } from '../operated.js';
import { FileWatcher } from './file-watcher.js';

/** So many files are named in the log; of a checkout the first ones. */
const MOST_NAMED = 3;

/** What is needed of a supervisor. */
type Reloaded = Pick<Operated, 'reload' | 'showFailure'>;

export class Reloader {
  readonly #log: Log;
  readonly #watcher: FileWatcher;
  #served: Reloaded | null = null;
  #isReloading = false;
  /** What changed meanwhile, for the next time. */
  #waiting: readonly string[] = [];

  /** `files` are watched from the beginning on, `patterns` as FileWatcher has them. */
  constructor(files: readonly string[], patterns: readonly string[], log: Log) {
    this.#log = log;
    this.#watcher = new FileWatcher(patterns, (changed) => void this.#change(changed));
    this.#watcher.add(files, Date.now());
  }

  /** Reloads it from now on; before, changes are only seen. */
  serve(served: Reloaded): void {
    this.#served = served;
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
    if (this.#isReloading || served === null) return;
    this.#isReloading = true;
    while (this.#waiting.length > 0) {
      const files = this.#waiting;
      this.#waiting = [];
      await this.#reload(served, files);
    }
    this.#isReloading = false;
  }

  async #reload(served: Reloaded, files: readonly string[]): Promise<void> {
    const began = performance.now();
    const what = nameFiles(files);
    try {
      await served.reload();
      const seconds = ((performance.now() - began) / 1000).toFixed(2);
      this.#log.info(`${what} changed: loaded anew in ${seconds} s`);
    } catch (error) {
      if (!(error instanceof LidoError)) throw error;
      if (error.code === 'LIDO_SHUTTING_DOWN') return;
      const { code, message, traceback } = error;
      this.#log.error({ code, traceback }, `${what} changed, and cannot be served: ${message}`);
      served.showFailure(error);
    }
  }
}

function nameFiles(files: readonly string[]): string {
  const names = [...new Set(files)].map((file) => relative(process.cwd(), file));
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
