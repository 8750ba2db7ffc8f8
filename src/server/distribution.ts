/** Main thread of the supervisor. Which process gets a connection, where there are several. */
import type { Arrival, ProcessHandle } from './process-handle.js';

/** Connections kept for a process that is yet to serve; with more, who comes is refused. */
const MOST_WAITING = 1024;

export class Distribution {
  readonly #processes: ReadonlySet<ProcessHandle>;
  readonly #waiting: Arrival[] = [];
  /** Takes turns among those who have as little to do. */
  #last: ProcessHandle | null = null;

  constructor(processes: ReadonlySet<ProcessHandle>) {
    this.#processes = processes;
  }

  /** Gives a connection to the process that answers and has the fewest; keeps it while none serves. */
  give(arrival: Arrival): void {
    // Its end is seen by the process that has it; here it only must not be an uncaught error.
    arrival.socket.on('error', () => {});
    const chosen = this.#choose();
    if (chosen !== null) chosen.give(arrival);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(arrival);
    else arrival.socket.destroy();
  }

  /** Gives out what waits: a process has begun to serve. */
  resume(): void {
    for (const arrival of this.#waiting.splice(0)) this.give(arrival);
  }

  /** Drops what nobody will serve any more. */
  close(): void {
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
  }

  #choose(): ProcessHandle | null {
    const serving = [...this.#processes].filter(({ isServing }) => isServing);
    const after = this.#last === null ? 0 : serving.indexOf(this.#last) + 1;
    const inTurn = [...serving.slice(after), ...serving.slice(0, after)];
    let chosen: ProcessHandle | null = null;
    for (const each of inTurn) if (chosen === null || each.burden < chosen.burden) chosen = each;
    this.#last = chosen;
    return chosen;
  }
}
