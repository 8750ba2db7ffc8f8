/**
 * Main thread of a process under the supervisor. Which processes could begin a request at once: a word for each in memory
 * that all of them share, a bit of it for each application.
 */
import { closeSync } from 'node:fs';

/** One cache line for each process: a word that changes with every request must not slow its neighbours. */
export const PLACE_BYTES = 64;
/** For 256 processes; more serve without being seen here. */
export const VACANCY_BYTES = 256 * PLACE_BYTES;

const WORDS_A_PLACE = PLACE_BYTES / Int32Array.BYTES_PER_ELEMENT;
/** Applications that have a bit. */
const MOST_APPLICATIONS = 31;

export class Vacancies {
  readonly #words: Int32Array;
  readonly #place: number;
  readonly #applications: Vacancy[] = [];

  constructor(words: Int32Array, place: number) {
    this.#words = words;
    this.#place = place;
  }

  /** Maps the supervisor's file, and closes it here. Null where the system does not allow that. */
  static async map(fd: number, place: number): Promise<Vacancies | null> {
    const { mapFile } = await import('../system-calls.js');
    const memory = mapFile(fd, VACANCY_BYTES);
    closeSync(fd);
    return memory === null ? null : new Vacancies(new Int32Array(memory), place);
  }

  /** The next application's; in each process they are asked for in the same order. Null for one that is too many. */
  add(): Vacancy | null {
    const index = this.#applications.length;
    if (index === MOST_APPLICATIONS) return null;
    const vacancy = new Vacancy(this.#words, this.#place, 1 << index);
    this.#applications.push(vacancy);
    return vacancy;
  }

  /** Says again what was said: somebody may have claimed a vacancy, and not have come. */
  repeat(): void {
    for (const vacancy of this.#applications) vacancy.repeat();
  }

  /** Nothing is vacant here any more. */
  close(): void {
    for (const vacancy of this.#applications) vacancy.close();
  }
}

/** One application's bits. */
export class Vacancy {
  readonly #words: Int32Array;
  readonly #own: number;
  readonly #bit: number;
  #isVacant = false;
  #isClosed = false;

  constructor(words: Int32Array, place: number, bit: number) {
    this.#words = words;
    this.#own = place * WORDS_A_PLACE;
    this.#bit = bit;
  }

  /** Whether a request could begin here at once. Called with every request. */
  tell(isVacant: boolean): void {
    if (isVacant === this.#isVacant || this.#isClosed) return;
    this.#isVacant = isVacant;
    this.repeat();
  }

  repeat(): void {
    if (this.#isVacant) Atomics.or(this.#words, this.#own, this.#bit);
    else Atomics.and(this.#words, this.#own, ~this.#bit);
  }

  /** Whether another process has one. */
  get isElsewhere(): boolean {
    const { length } = this.#words;
    for (let index = 0; index < length; index += WORDS_A_PLACE)
      if (index !== this.#own && ((this.#words[index] as number) & this.#bit) !== 0) return true;
    return false;
  }

  /** Takes another process's vacancy, so that nobody else sends a request there too: its place, or null where none has one. */
  claim(): number | null {
    const { length } = this.#words;
    // From its own place on, so that not all choose the same one.
    for (let step = WORDS_A_PLACE; step < length; step += WORDS_A_PLACE) {
      const index = (this.#own + step) % length;
      if (((this.#words[index] as number) & this.#bit) === 0) continue;
      if ((Atomics.and(this.#words, index, ~this.#bit) & this.#bit) !== 0) return index / WORDS_A_PLACE;
    }
    return null;
  }

  /** Gives a claimed one back. */
  release(place: number): void {
    Atomics.or(this.#words, place * WORDS_A_PLACE, this.#bit);
  }

  close(): void {
    this.tell(false);
    this.#isClosed = true;
  }
}
