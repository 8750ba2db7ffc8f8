/**
 * Main thread. Lines to the machine's own syslog, journald or another, by its Unix socket: as syslog(3) writes them, which is
 * RFC 3164 without the host's name.
 */
import { statSync } from 'node:fs';
import type { Log } from '../log.js';
import type { DatagramSender } from '../system-calls.js';
import type { LineSink } from './line-file.js';
import { Losses } from './losses.js';
import { cutLine, PRIORITY } from './syslog.js';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export class LocalSyslog implements LineSink {
  readonly #path: string;
  readonly #sender: DatagramSender;
  readonly #losses: Losses;

  private constructor(path: string, sender: DatagramSender, log: Log) {
    this.#path = path;
    this.#sender = sender;
    this.#losses = new Losses(log);
  }

  /** `path` is /dev/log as a rule. Rejects with an Error where there is no socket. */
  static async open(path: string, log: Log): Promise<LocalSyslog> {
    if (!statSync(path).isSocket()) throw new Error('it is no socket');
    // koffi takes time to load, and few want it here.
    const { DatagramSender } = await import('../system-calls.js');
    return new LocalSyslog(path, new DatagramSender(path), log);
  }

  write(lines: string): void {
    const head = `<${PRIORITY}>${formatTime(new Date())} lido[${process.pid}]: `;
    for (const line of lines.split('\n')) if (line !== '') this.#send(head + cutLine(line));
  }

  /** There is no file. */
  reopen(): void {}

  async close(): Promise<void> {
    this.#sender.close();
  }

  #send(message: string): void {
    const error = this.#sender.send(message);
    if (error === null) this.#losses.recover();
    else this.#losses.fail(`the access log cannot be sent to ${this.#path}: ${error}; serving goes on`, 1);
  }
}

/** RFC 3164, section 4.1.2: "Nov  1 09:05:07", by the machine's clock and zone. */
function formatTime(date: Date): string {
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  );
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${time.join(':')}`;
}
