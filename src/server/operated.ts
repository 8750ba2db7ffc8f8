/** Main thread. What can be done to whatever the command serves by: a server, or a supervisor with its processes. Types only. */

import type { Admin } from './admin.js';

/** What an operator can do to a server, alone or supervised. */
export interface Operated {
  /** Where it is looked at. */
  readonly admin: Pick<Admin, 'hub' | 'addresses'>;
  listen(): Promise<void>;
  describe(): string;
  /** Rejects with a LidoError where what is new cannot be served; what was served is served on. */
  reload(): Promise<void>;
  reopenLogs(): void;
  /** One process more, or one fewer; resolves with how many there are to be. Only a supervisor can. */
  scale?(by: 1 | -1): Promise<number>;
  /** Finishes what runs. False where the process can only be ended past Python. */
  close(): Promise<boolean>;
  /** Ends the processes that serve at once, with what they run. */
  kill?(): void;
}
