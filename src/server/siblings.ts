/**
 * Main thread of a process under the supervisor. A request that would wait here while another process is idle goes there
 * with its connection, by way of the supervisor, which looks after it until the other one has it.
 */
import type { Elsewhere } from '../dispatch/elsewhere.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { Departure } from '../http/departure.js';
import type { FromProcess } from './process-messages.js';
import { Vacancies, type Vacancy } from './vacancies.js';

/** How often a vacancy is told again that somebody claimed and did not use. Milliseconds. */
const REPEAT_MS = 250;
/**
 * Connections that leave at a time. Node's channel takes one in each turn of the event loop, and where turns are long a request
 * is answered here before its connection has left.
 */
const MOST_LEAVING = 8;

export interface SiblingsOptions {
  /** Sends a message to the supervisor, with a socket that stays open here. Tells `failed` where that cannot be. */
  readonly post: (message: FromProcess, socket: Departure['socket'], failed: () => void) => void;
  /** Nobody else will have it: it is served here. */
  readonly takeBack: (departure: Departure) => void;
}

export class Siblings {
  readonly #vacancies: Vacancies;
  readonly #options: SiblingsOptions;
  /** What the supervisor has not said that it has, by its number. */
  readonly #leaving = new Map<number, Departure>();
  #left = 0;
  /** What was sent last; Node.js sends one socket at a time, and makes its message's text only then. */
  #travelling = 0;
  #isClosed = false;

  private constructor(vacancies: Vacancies, options: SiblingsOptions) {
    this.#vacancies = vacancies;
    this.#options = options;
    setInterval(() => vacancies.repeat(), REPEAT_MS).unref();
  }

  /** `fd`: the supervisor's file of vacancies; `place`: this process's in it. Null where it cannot be shared. */
  static async meet(fd: number, place: number, options: SiblingsOptions): Promise<Siblings | null> {
    const vacancies = await Vacancies.map(fd, place);
    return vacancies === null ? null : new Siblings(vacancies, options);
  }

  /** For the next application's dispatcher. Null for one that is too many. */
  readonly createElsewhere = (): Elsewhere<Exchange> | null => {
    const vacancy = this.#vacancies.add();
    if (vacancy === null) return null;
    return {
      get hasRoom() {
        return vacancy.isElsewhere;
      },
      tell: (isVacant) => vacancy.tell(isVacant),
      take: (exchange) => this.#send(vacancy, exchange),
    };
  };

  /** The supervisor has what left under this number: it is no concern of this process any more. */
  letGo(id: number): void {
    this.#leaving.get(id)?.socket.destroy();
    this.#leaving.delete(id);
  }

  /** The supervisor has nobody for it. */
  takeBack(id: number): void {
    const departure = this.#leaving.get(id);
    this.#leaving.delete(id);
    if (departure !== undefined) this.#options.takeBack(departure);
  }

  /** What was sent last did not come to the supervisor. */
  lose(): void {
    this.takeBack(this.#travelling);
  }

  /** There is no supervisor any more. */
  takeAllBack(): void {
    this.close();
    for (const id of [...this.#leaving.keys()]) this.takeBack(id);
  }

  /** Nothing comes here any more from others, and nothing leaves. */
  close(): void {
    this.#isClosed = true;
    this.#vacancies.close();
  }

  #send(vacancy: Vacancy, exchange: Exchange): boolean {
    const mayLeave = !this.#isClosed && this.#leaving.size < MOST_LEAVING;
    const place = mayLeave ? vacancy.claim() : null;
    if (place === null) return false;
    const departure = exchange.depart();
    if (departure === null) {
      vacancy.release(place);
      return false;
    }
    this.#left += 1;
    const id = this.#left;
    const { address, socket, luggage } = departure;
    this.#leaving.set(id, departure);
    const toJSON = () => {
      this.#travelling = id;
      return place;
    };
    const made = { toJSON } as unknown as number;
    this.#options.post(['leaves', id, address, luggage, made], socket, () => this.takeBack(id));
    return true;
  }
}
