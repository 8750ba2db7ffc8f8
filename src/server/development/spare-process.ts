/**
 * Main thread of the supervisor, under --reload. The next process, started as far as it can be before its code is written: it
 * has loaded Lido's own code, which takes longer than many an application.
 */
import type { ChildProcess } from 'node:child_process';
import type { Settings } from '../../settings/resolve.js';
import { forkProcess } from '../process-handle.js';
import type { VacancyFile } from '../vacancy-file.js';

export class SpareProcess {
  #child: ChildProcess | null = null;
  /** It has been given this file, and cannot be given another. */
  #vacancies: VacancyFile | null = null;

  /** Starts one unless there is one. */
  prepare(settings: Settings, vacancies: VacancyFile | null): void {
    if (this.#child !== null) return;
    const child = forkProcess(settings, vacancies);
    // One that is gone when it is wanted is not missed.
    child.on('error', () => {});
    this.#child = child;
    this.#vacancies = vacancies;
  }

  /** Gives it away; null where there is none that would do. */
  take(vacancies: VacancyFile | null): ChildProcess | null {
    const child = this.#child;
    this.#child = null;
    const isThere = child?.connected && child.exitCode === null && child.signalCode === null;
    if (isThere && this.#vacancies === vacancies) return child;
    child?.kill('SIGKILL');
    return null;
  }

  end(): void {
    this.#child?.kill('SIGKILL');
    this.#child = null;
  }
}
