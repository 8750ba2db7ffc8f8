/**
 * Main thread. How this command was started, kept before anything changes it: SIGUSR2 starts it once more in the same way.
 * Import it before all that enters directories or sets variables.
 */
import { statSync } from 'node:fs';

/** Holds what a process that was started by SIGUSR2 takes over; no setting, and gone from the environment at once. */
const VARIABLE = 'LIDO_TAKEOVER';

/** What whoever started this process to take its place is told at once. */
export const BEGUN = 'lido: begun';

/** Who started this process to take its place. */
export interface Predecessor {
  readonly pid: number;
  /** Descriptors of its listening sockets, by the address as the setting `bind` has it. */
  readonly sockets: Readonly<Record<string, number>>;
  /** It listens for BEGUN. One of an older Lido does not, and would take it for a failure. */
  readonly hearsOfBegin?: boolean;
}

export interface Birth {
  readonly folder: string;
  readonly environment: Readonly<NodeJS.ProcessEnv>;
  /** Null where no other server started this one. */
  readonly predecessor: Predecessor | null;
}

export const birth: Birth = recordBirth();

/** What it takes to start another in place of this process, which has these sockets. */
export function describeTakeover(predecessor: Predecessor): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(predecessor) };
}

function recordBirth(): Birth {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  const predecessor = text === undefined ? null : (JSON.parse(text) as Predecessor);
  if (predecessor?.hearsOfBegin === true) process.send?.(BEGUN, undefined, {}, () => {});
  // systemd names the one process that its sockets and its watchdog are for.
  for (const name of ['LISTEN_PID', 'WATCHDOG_PID'])
    if (predecessor !== null && process.env[name] === String(predecessor.pid))
      process.env[name] = String(process.pid);
  return { folder: findFolder(), environment: { ...process.env }, predecessor };
}

/** As the shell knows it: a link to the release that is current may lead elsewhere by then. */
function findFolder(): string {
  const here = process.cwd();
  const { PWD: named } = process.env;
  if (named === undefined) return here;
  try {
    const [one, other] = [statSync(named), statSync(here)];
    return one.dev === other.dev && one.ino === other.ino ? named : here;
  } catch {
    return here;
  }
}
