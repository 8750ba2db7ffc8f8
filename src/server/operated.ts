/** Main thread. What can be done to whatever the command serves by: a server, or a supervisor with its processes. Types only. */

import type { LidoError } from '../contract/errors.js';
import type { HookSource } from '../settings/hooks.js';
import type { Settings } from '../settings/resolve.js';
import type { Admin } from './admin.js';
import type { Successor } from './successor.js';

/** What a server is started with, and anew: settings, and what the config file wants to be called. */
export interface Configuration {
  readonly settings: Settings;
  readonly hooks: HookSource;
}

/** What an operator can do to a server, alone or supervised. */
export interface Operated {
  /** Where it is looked at. */
  readonly admin: Pick<Admin, 'hub' | 'addresses'>;
  listen(): Promise<void>;
  describe(): string;
  /** Where it listens, as URLs. */
  readonly addresses: readonly string[];
  /** Rejects with a LidoError where what is new cannot be served; what was served is served on. */
  reload(): Promise<void>;
  /** Ends what a reload is starting, which then rejects. Only a supervisor can. */
  abandonStart?(): void;
  /** Whether a reload reads the settings again, too. */
  readonly rereadsSettings: boolean;
  reopenLogs(): void;
  /** Answers every request with what keeps new code from being loaded. For --reload. */
  showFailure(error: LidoError): void;
  /** One process more, or one fewer; resolves with how many there are to be. Only a supervisor can. */
  scale?(by: 1 | -1): Promise<number>;
  /** From now on the health check says that it is not ready, though it serves. */
  announceEnd(): void;
  /** Starts the command anew with the sockets, and resolves when that serves, too; rejects where it does not. Only a supervisor can. */
  startSuccessor?(): Promise<Successor>;
  /** Lets the one have them: takes no more connections, and finishes what runs. Ends what only one of them can have at once. */
  handOver?(successor: Successor, letGo: () => Promise<void>): Promise<boolean>;
  /** Opens what was the predecessor's until now. */
  takeOver?(): Promise<void>;
  /** Finishes what runs. False where the process can only be ended past Python. */
  close(): Promise<boolean>;
  /** Ends the processes that serve at once, with what they run. */
  kill?(): void;
}
