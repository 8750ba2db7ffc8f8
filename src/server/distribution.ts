/** Main thread of the supervisor. Which process gets a connection, where there are several. */
import type { Socket } from 'node:net';
import { formatLastAnswer } from '../http/wire/last-answer.js';
import type { Log } from '../log.js';
import type { Arrival } from './deliveries.js';
import type { ProcessHandle } from './process-handle.js';
import { Tally } from './tally.js';

/** Connections kept for a process that is yet to serve; with more, who comes is refused. */
const MOST_WAITING = 1024;

const NOBODY: ReadonlySet<ProcessHandle> = new Set();

/** RFC 9110, section 15.6.4. */
const UNAVAILABLE = { status: 503, reason: 'no process serves' };

export class Distribution {
  readonly #processes: ReadonlySet<ProcessHandle>;
  readonly #waiting: Arrival[] = [];
  readonly #log: Log;
  readonly #lost = new Tally();
  /** Which processes a connection did not come to. */
  readonly #losers = new WeakMap<Socket, Set<ProcessHandle>>();
  /** Takes turns among those who have as little to do. */
  #last: ProcessHandle | null = null;

  constructor(processes: ReadonlySet<ProcessHandle>, log: Log) {
    this.#processes = processes;
    this.#log = log;
  }

  /** Gives a connection to the process that answers and has the fewest; keeps it while none serves. */
  give(arrival: Arrival): void {
    // Its end is seen by the process that has it; here it only must not be an uncaught error.
    arrival.socket.on('error', () => {});
    const chosen = this.#choose();
    if (chosen !== null) chosen.give(arrival);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(arrival);
    else refuse(arrival);
  }

  /** For a connection that leaves one process: the one at `place`, which had room for it, or another that serves; null where none does. */
  readonly findOther = (leaving: ProcessHandle, place: number): ProcessHandle | null => {
    for (const each of this.#processes)
      if (each.place === place && each.isServing && !each.standsStill) return each;
    const other = this.#choose();
    return other === leaving ? null : other;
  };

  /** For a connection that did not come to a process, which had no descriptor left for it. None is tried twice. */
  readonly giveAnew = (arrival: Arrival, loser: ProcessHandle): void => {
    const losers = this.#losers.get(arrival.socket) ?? new Set();
    this.#losers.set(arrival.socket, losers.add(loser));
    const all = this.#lost.add(1);
    if (all !== null)
      this.#log.warn(
        `${all === 1 ? 'a connection' : `${all} connections`} could not be given to a process that has no descriptor left, process ${loser.pid} at last: another one is tried, and where none is left it is closed; see what its application leaves open, or raise ulimit -n`,
      );
    const other = this.#choose(losers);
    if (other === null) refuse(arrival);
    else other.give(arrival);
  };

  /** Gives out what waits: a process has begun to serve. */
  resume(): void {
    for (const arrival of this.#waiting.splice(0)) this.give(arrival);
  }

  /** Drops what nobody will serve any more. */
  close(): void {
    for (const arrival of this.#waiting.splice(0)) refuse(arrival);
  }

  #choose(besides: ReadonlySet<ProcessHandle> = NOBODY): ProcessHandle | null {
    const serving = [...this.#processes].filter((each) => each.isServing && !besides.has(each));
    const after = this.#last === null ? 0 : serving.indexOf(this.#last) + 1;
    const inTurn = [...serving.slice(after), ...serving.slice(0, after)];
    let chosen: ProcessHandle | null = null;
    for (const each of inTurn) if (chosen === null || each.burden < chosen.burden) chosen = each;
    this.#last = chosen;
    return chosen;
  }
}

/** Who has asked something is told that nobody will answer; of others it is not known what they speak. */
function refuse({ socket, luggage }: Arrival): void {
  if (luggage === null) socket.destroy();
  else socket.end(formatLastAnswer(UNAVAILABLE, 'Retry-After: 1\r\n'), 'latin1');
}
