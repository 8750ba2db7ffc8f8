/** Main thread of a process under --reload. Tells the supervisor which files the application consists of, as they are loaded. */
import { setTimeout as pause } from 'node:timers/promises';
import { BroadcastChannel } from 'node:worker_threads';
import type { LidoError } from '../../contract/errors.js';
import { LOADED_FILES } from '../../contract/protocol.js';
import { listPythonFiles, lookAtPython } from '../../python/host.js';
import { findFilesIn } from './traceback-files.js';

/** How often it is looked what Python has imported since. Milliseconds. */
const PYTHON_CHECK_MS = 500;
/** What is loaded is served although Python cannot tell its files: a thread that was started may keep the GIL. Milliseconds. */
const PYTHON_PATIENCE_MS = 2000;

export class LoadedFiles {
  readonly #post: (files: readonly string[], since: number) => void;
  readonly #since = Date.now();
  readonly #known = new Set<string>();
  /** While Python's main thread is asked, which may be busy. */
  #looking: Promise<void> | null = null;
  #lookingSince = 0;

  /** Make it before the application is loaded. `post` gets absolute paths, and the moment of Date.now() before they were read. */
  constructor(post: (files: readonly string[], since: number) => void) {
    this.#post = post;
    const channel = new BroadcastChannel(LOADED_FILES);
    channel.onmessage = (event) => this.#tell((event as { data: readonly string[] }).data);
    channel.unref();
    setInterval(() => void this.#check(), PYTHON_CHECK_MS).unref();
  }

  /** The application is loaded. */
  async finish(): Promise<void> {
    await Promise.race([this.#lookOnceMore(), pause(PYTHON_PATIENCE_MS, undefined, { ref: false })]);
  }

  async #lookOnceMore(): Promise<void> {
    // A look that is under way may have been before the last import.
    await this.#looking;
    await this.#lookAtPython();
  }

  /** It could not be: what is to be mended is named in the traceback, if it was not loaded before. */
  async fail({ message, traceback = '' }: LidoError): Promise<void> {
    this.#tell(findFilesIn(`${message}\n${traceback}`, process.cwd()));
    await this.finish();
  }

  async #check(): Promise<void> {
    const hasPatience = this.#looking === null || performance.now() - this.#lookingSince < PYTHON_PATIENCE_MS;
    await (hasPatience ? this.#lookAtPython() : this.#lookAtStacks());
  }

  #lookAtPython(): Promise<void> {
    if (this.#looking === null) this.#lookingSince = performance.now();
    this.#looking ??= listPythonFiles().then((files) => {
      this.#looking = null;
      this.#tell(files);
    });
    return this.#looking;
  }

  /** An import that does not end is in the midst of a file that is to be mended. */
  async #lookAtStacks(): Promise<void> {
    this.#lookingSince = performance.now();
    const threads = (await lookAtPython())?.threads ?? [];
    this.#tell(findFilesIn(threads.map(({ stack }) => stack).join('\n'), process.cwd()));
  }

  #tell(files: readonly string[]): void {
    const fresh = files.filter((file) => !this.#known.has(file));
    if (fresh.length === 0) return;
    for (const file of fresh) this.#known.add(file);
    this.#post(fresh, this.#since);
  }
}
