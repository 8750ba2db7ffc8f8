/**
 * Main thread. One command takes the place of another, with its listening sockets: what SIGUSR2 does, so that Node or Lido
 * itself can be exchanged. Both ends are here; they speak over child_process's channel.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { LidoError } from '../contract/errors.js';
import { BEGUN, birth, describeTakeover } from './birth.js';

/** The new one serves. */
const READY = 'lido: ready';
/** The old one has let go of what only one can have: the pidfile, the control socket, the admin listeners. */
const YOURS = 'lido: yours';

/** The old one's end: a command that is to take the place of this one. */
export class Successor {
  readonly pid: number;
  /** Resolves when it serves; rejects with LIDO_SUCCESSOR_FAILED where it ended before. */
  readonly ready: Promise<void>;
  /** Resolves when it is gone, or could not be started. */
  readonly ended: Promise<unknown>;
  /** Lido's own code runs in it. */
  hasBegun = false;
  readonly #child: ChildProcess;

  /** Starts it as this one was started. `sockets`: descriptors by the addresses that they listen on. */
  constructor(sockets: Readonly<Record<string, number>>) {
    const descriptors = Object.values(sockets);
    const numbered = Object.keys(sockets).map((bind, index) => [bind, 3 + index] as const);
    const takeover = describeTakeover({
      pid: process.pid,
      sockets: Object.fromEntries(numbered),
      hearsOfBegin: true,
    });
    this.#child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      cwd: birth.folder,
      env: { ...birth.environment, ...takeover },
      stdio: ['inherit', 'inherit', 'inherit', ...descriptors, 'ipc'],
    });
    this.pid = this.#child.pid ?? 0;
    this.ready = new Promise((resolve, reject) => {
      const fail = (how: string) => reject(new LidoError('LIDO_SUCCESSOR_FAILED', [how]));
      this.#child.on('message', (message) => {
        if (message === BEGUN) this.hasBegun = true;
        else if (message === READY) resolve();
        else fail(`said ${message}`);
      });
      this.#child.once('exit', (code, signal) =>
        fail(signal ? `ended by ${signal}` : `ended with status ${code}`),
      );
      this.#child.once('error', (error) => fail(`could not be started: ${error.message}`));
    });
    this.ready.catch(() => {});
    this.ended = new Promise((resolve) => this.#child.once('exit', resolve).once('error', resolve));
  }

  /** It may have what this process has let go of. */
  letHave(): void {
    // One that has ended meanwhile takes nothing.
    this.#child.send(YOURS, () => {});
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** For slow-birth.ts. */
  abandon(): void {
    this.kill();
  }
}

/** The new one's end: says that it serves, and resolves when what only one can have is free, or the old one is gone. */
export async function takePlace(): Promise<void> {
  if (process.send === undefined || !process.connected) return;
  await new Promise<void>((resolve) => {
    process.once('disconnect', resolve);
    process.once('message', () => resolve());
    process.send?.(READY, undefined, {}, () => {});
  });
  if (process.connected) process.disconnect();
}
