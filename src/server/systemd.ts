/** Main thread. What systemd wants to hear of a service (sd_notify), and the sockets that it opened for it (socket activation). */
import type { Log } from '../log.js';
import type { Source } from '../settings/resolve.js';

/** The first descriptor that systemd hands over. sd_listen_fds(3) */
const FIRST_FD = 3;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The sockets that this very process was started with, as a source of the setting `bind`: fd://3, fd://4, ...; an empty
 * source where systemd opened none, or opened them for another process.
 */
export function readPassedSockets(environment: Environment, pid: number): Source {
  const { LISTEN_PID, LISTEN_FDS } = environment;
  const count = LISTEN_PID === String(pid) && /^[1-9]\d?$/.test(LISTEN_FDS ?? '') ? Number(LISTEN_FDS) : 0;
  const bind = Array.from({ length: count }, (_, index) => `fd://${FIRST_FD + index}`);
  return { origin: 'environment', values: count === 0 ? {} : { bind }, placeOf: () => 'LISTEN_FDS' };
}

/** Tells systemd how the service is; does nothing where no systemd asked. sd_notify(3) */
export class SystemdNotifier {
  readonly #socket: string | null;
  readonly #watchdogMs: number;
  readonly #log: Log;
  #watchdog: NodeJS.Timeout | null = null;
  #isDeaf = false;

  constructor(environment: Environment, pid: number, log: Log) {
    const { NOTIFY_SOCKET = '', WATCHDOG_USEC = '', WATCHDOG_PID = String(pid) } = environment;
    // Kernel sockets of other kinds (vsock:) are for virtual machines.
    this.#socket = /^[/@]/.test(NOTIFY_SOCKET) ? NOTIFY_SOCKET : null;
    this.#watchdogMs = WATCHDOG_PID === String(pid) ? Number(WATCHDOG_USEC) / 1000 || 0 : 0;
    this.#log = log;
  }

  /** It serves, as it does for the first time or after a reload. From here on the watchdog hears that it lives. */
  async ready(status: string): Promise<void> {
    await this.#tell(`READY=1\nSTATUS=${toLine(status)}`);
    if (this.#watchdogMs > 0) this.#watchdog ??= this.#startWatchdog();
  }

  /** A new version is being started; ready() follows, whatever becomes of it. */
  async reloading(): Promise<void> {
    // Type=notify-reload wants the time as well, by the clock that Linux calls monotonic: hrtime is that.
    await this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  async stopping(): Promise<void> {
    this.#stopWatchdog();
    await this.#tell('STOPPING=1');
  }

  /** Another process is the service from now on. */
  async handOver(pid: number): Promise<void> {
    this.#stopWatchdog();
    await this.#tell(`MAINPID=${pid}`);
  }

  #stopWatchdog(): void {
    if (this.#watchdog !== null) clearInterval(this.#watchdog);
  }

  /** Twice within the time, as systemd advises: a main thread that stands still says nothing, and is started anew. */
  #startWatchdog(): NodeJS.Timeout {
    return setInterval(() => void this.#tell('WATCHDOG=1'), this.#watchdogMs / 2).unref();
  }

  async #tell(text: string): Promise<void> {
    if (this.#socket === null) return;
    // Only a service under systemd pays for koffi here.
    const { sendDatagram } = await import('../system-calls.js');
    if (sendDatagram(this.#socket, text) || this.#isDeaf) return;
    this.#isDeaf = true;
    this.#log.warn(`systemd cannot be told how the service is: nobody takes what is sent to ${this.#socket}`);
  }
}

function toLine(text: string): string {
  return text.replaceAll('\n', ' ');
}
