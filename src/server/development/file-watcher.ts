/** Main thread of the supervisor. Tells which of many files changed, while somebody writes them. chokidar does the watching. */
import { existsSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import picomatch from 'picomatch';

/** One save is several events, and a checkout many: what comes within this time after another is one change. Milliseconds. */
const BURST_MS = 50;
/** But nobody waits for longer, however much is written. Milliseconds. */
const LONGEST_BURST_MS = 1000;
/** How often it is looked for what chokidar does not see. Milliseconds. */
const CHECK_MS = 500;
/** Folders in which a pattern finds nothing that somebody writes; a pattern that names one is taken at its word. */
const OTHERS_WORK = /[\\/](node_modules|\.git|\.venv|venv|__pycache__|site-packages)([\\/]|$)/;
/** The state of a file that is not there, and of one that was written after it was loaded. */
const GONE = 'gone';
const CHANGED = 'changed';

export class FileWatcher {
  readonly #changed: (files: readonly string[]) => void;
  readonly #watchers: FSWatcher[];
  readonly #files = new Set<string>();
  /** Those of them that are not there, or not yet. */
  readonly #gone = new Set<string>();
  /** The state of each that was told last, or that was loaded. */
  readonly #told = new Map<string, string>();
  readonly #check: NodeJS.Timeout;
  #burst = new Set<string>();
  #burstTimer: NodeJS.Timeout | null = null;
  #burstBegan = 0;

  /** `patterns`: globs or folders, seen from the working directory, of which every file counts. `changed` is told of each burst. */
  constructor(patterns: readonly string[], changed: (files: readonly string[]) => void) {
    this.#changed = changed;
    this.#watchers = [this.#open([], () => false), ...patterns.map((pattern) => this.#openPattern(pattern))];
    this.#check = setInterval(() => {
      this.#checkGone();
      this.#checkMissed();
    }, CHECK_MS).unref();
  }

  /** Watches these too, whether they are there or not. What was written after `since`, as of Date.now(), has changed. */
  add(files: readonly string[], since: number): void {
    for (const file of files) {
      if (this.#files.has(file)) continue;
      this.#files.add(file);
      const found = look(file);
      this.#told.set(file, found !== null && found.mtimeMs > since ? CHANGED : describe(found));
      if (existsSync(file)) this.#watchers[0]?.add(file);
      else this.#gone.add(file);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#check);
    if (this.#burstTimer !== null) clearTimeout(this.#burstTimer);
    await Promise.all(this.#watchers.map((watcher) => watcher.close()));
  }

  #openPattern(pattern: string): FSWatcher {
    const isFolder = existsSync(pattern) && statSync(pattern).isDirectory();
    const glob = resolve(isFolder ? `${pattern}/**` : pattern);
    const fits = picomatch(glob, { dot: true });
    const isOthersWork = (path: string) => OTHERS_WORK.test(path) && !OTHERS_WORK.test(glob);
    return this.#open(
      [picomatch.scan(glob).base],
      (path, isFile) => isOthersWork(path) || (isFile && !fits(path)),
    );
  }

  #open(paths: string[], ignores: (path: string, isFile: boolean) => boolean): FSWatcher {
    const watcher = watch(paths, {
      ignoreInitial: true,
      ignored: (path, stats) => ignores(path, stats?.isFile() ?? false),
    });
    watcher.on('change', (path) => this.#note(path));
    watcher.on('add', (path) => this.#note(path));
    watcher.on('unlink', (path) => {
      // chokidar does not wait for what was there and is gone.
      if (this.#files.has(path)) this.#gone.add(path);
      this.#note(path);
    });
    // A folder that may not be read is not watched; the rest is.
    watcher.on('error', () => {});
    return watcher;
  }

  #checkGone(): void {
    for (const file of this.#gone) {
      if (!existsSync(file)) continue;
      this.#gone.delete(file);
      this.#watchers[0]?.add(file);
      this.#note(file);
    }
  }

  /** A file that is put in another's place while chokidar begins to watch it, or begins again, is not seen by it. */
  #checkMissed(): void {
    for (const file of this.#files) {
      const found = look(file);
      if (describe(found) === this.#told.get(file)) continue;
      if (found === null) this.#gone.add(file);
      this.#note(file);
    }
  }

  #note(file: string): void {
    this.#told.set(file, describe(look(file)));
    const now = performance.now();
    if (this.#burstTimer === null) this.#burstBegan = now;
    else clearTimeout(this.#burstTimer);
    this.#burst.add(file);
    const wait = Math.min(BURST_MS, this.#burstBegan + LONGEST_BURST_MS - now);
    this.#burstTimer = setTimeout(() => this.#tell(), Math.max(0, wait));
  }

  #tell(): void {
    const files = [...this.#burst];
    this.#burst = new Set();
    this.#burstTimer = null;
    this.#changed(files);
  }
}

/** Whether there is what a pattern is to find something in. */
export function hasBase(pattern: string): boolean {
  return existsSync(picomatch.scan(resolve(pattern)).base);
}

/** Null where no such file can be seen; a folder changes with all that is in it. */
function look(file: string): Stats | null {
  try {
    const found = statSync(file);
    return found.isFile() ? found : null;
  } catch {
    return null;
  }
}

/** Two saves within the same tick of the clock differ in one of these, or are read as one. */
function describe(found: Stats | null): string {
  return found === null ? GONE : `${found.mtimeMs} ${found.size} ${found.ino}`;
}
