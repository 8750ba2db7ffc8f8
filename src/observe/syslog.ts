/** Main thread. Lines to a syslog server, by UDP: RFC 5424, and RFC 5426 for the transport. */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { describe } from '../contract/errors.js';
import type { Log } from '../log.js';
import { HostAddress } from './host-address.js';
import type { LineSink } from './line-file.js';

export const SYSLOG_PORT = 514;

/** Facility local0, severity informational: RFC 5424, section 6.2.1. */
export const PRIORITY = 16 * 8 + 6;
/** RFC 5426, section 3.2: receivers should take 2,048 bytes; what is longer is cut. Characters, all of them ASCII. */
const LONGEST_LINE = 2000;
/** Datagrams that the system has not taken yet; more are dropped. */
const MAX_WAITING = 1000;
/** What they get at the end: the host's name may be one that no server knows. Milliseconds. */
const CLOSE_MS = 1000;
const LOOK_MS = 5;

export class Syslog implements LineSink {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #host: string;
  readonly #log: Log;
  readonly #sender = `${hostname()} lido ${process.pid} access -`;
  #waiting = 0;
  #isTold = false;

  constructor(host: string, port: number, log: Log) {
    this.#host = host;
    this.#port = port;
    this.#log = log;
    const type = host.includes(':') ? 'udp6' : 'udp4';
    this.#socket = createSocket({ type, lookup: new HostAddress(host).lookup as SocketOptions['lookup'] });
    this.#socket.on('error', (error) => this.#tell(describe(error)));
    this.#socket.unref();
  }

  write(lines: string): void {
    for (const line of lines.split('\n')) if (line !== '') this.#send(line);
  }

  /** There is no file. */
  reopen(): void {}

  async close(): Promise<void> {
    const end = performance.now() + CLOSE_MS;
    while (this.#waiting > 0 && performance.now() < end) await pause(LOOK_MS);
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #send(line: string): void {
    if (this.#waiting >= MAX_WAITING) {
      this.#tell('lines come faster than they can be sent: some are dropped');
      return;
    }
    this.#waiting += 1;
    const time = new Date().toISOString();
    const message = `<${PRIORITY}>1 ${time} ${this.#sender} - ${cutLine(line)}`;
    this.#socket.send(message, this.#port, this.#host, (error) => {
      this.#waiting -= 1;
      if (error !== null) this.#tell(describe(error));
    });
  }

  /** UDP tells of hardly any loss, so once is enough. */
  #tell(what: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#log.warn(`the access log cannot be sent to syslog at ${this.#host}:${this.#port}: ${what}`);
  }
}

/** To what every receiver takes. */
export function cutLine(line: string): string {
  return line.slice(0, LONGEST_LINE);
}
