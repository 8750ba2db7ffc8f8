/** Main thread. What is to happen later, all of which can be called off at once. */
export class Alarms {
  readonly #timers = new Set<NodeJS.Timeout>();

  /** Calls once, after so many milliseconds; returns what calls that off. */
  set(ms: number, act: () => void): () => void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
