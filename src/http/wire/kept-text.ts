/** Main thread. The text of a head as it came: in one packet nearly always, and then nothing is made to keep it. */
export class KeptText {
  #first = '';
  #others: string[] | null = null;

  keep(text: string): void {
    if (this.#first === '') this.#first = text;
    else {
      this.#others ??= [];
      this.#others.push(text);
    }
  }

  drop(): void {
    this.#first = '';
    this.#others = null;
  }

  toString(): string {
    return this.#others === null ? this.#first : this.#first + this.#others.join('');
  }
}
