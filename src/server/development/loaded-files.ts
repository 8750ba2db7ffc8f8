/** Main thread of a process under --reload. Tells the supervisor which files the application consists of, as they are loaded. */
import { BroadcastChannel } from 'node:worker_threads';
import type { LidoError } from '../../contract/errors.js';
import { LOADED_FILES } from '../../contract/protocol.js';
import { listPythonFiles } from '../../python/host.js';
import { findFilesIn } from './traceback-files.js';

/** How often it is looked what Python has imported since. Milliseconds. */
const PYTHON_CHECK_MS = 500;

export class LoadedFiles {
  readonly #post: (files: readonly string[], since: number) => void;
  readonly #since = Date.now();
  readonly #known = new Set<string>();
  /** While Python's main thread is asked, which may be busy. */
  #looking: Promise<void> | null = null;

  /** Make it before the application is loaded. `post` gets absolute paths, and the moment of Date.now() before they were read. */
  constructor(post: (files: readonly string[], since: number) => void) {
    this.#post = post;
    const channel = new BroadcastChannel(LOADED_FILES);
    channel.onmessage = (event) => this.#tell((event as { data: readonly string[] }).data);
    channel.unref();
    setInterval(() => void this.#lookAtPython(), PYTHON_CHECK_MS).unref();
  }

  /** The application is loaded. */
  async finish(): Promise<void> {
    // A look that is under way may have been before the last import.
    await this.#looking;
    await this.#lookAtPython();
  }

  /** It could not be: what is to be mended is named in the traceback, if it was not loaded before. */
  async fail({ message, traceback = '' }: LidoError): Promise<void> {
    this.#tell(findFilesIn(`${message}\n${traceback}`, process.cwd()));
    await this.finish();
  }

  #lookAtPython(): Promise<void> {
    this.#looking ??= listPythonFiles().then((files) => {
      this.#looking = null;
      this.#tell(files);
    });
    return this.#looking;
  }

  #tell(files: readonly string[]): void {
    const fresh = files.filter((file) => !this.#known.has(file));
    if (fresh.length === 0) return;
    for (const file of fresh) this.#known.add(file);
    this.#post(fresh, this.#since);
  }
}
