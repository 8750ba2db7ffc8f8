// A lido command under attack: started, asked, told to stop, and looked at when it ended.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const cli = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));

/** Far longer than anything here takes; what is not over by then hangs. Milliseconds. */
const PATIENCE_MS = 20_000;

export class Server {
  #child;
  #stderr = '';
  /** Resolves with the exit status, or with the name of the signal that ended it. */
  ended;

  /** Seconds; 0 is no time-out. */
  constructor(
    { python, interpreter },
    { timeout = 0, gracefulTimeout = 0.2 },
    application = 'application.py',
  ) {
    const options = {
      bind: '127.0.0.1:0',
      threads: 2,
      timeout,
      'graceful-timeout': gracefulTimeout,
      python,
      'python-interpreter': interpreter,
    };
    const words = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    // What is attacked is the process with Python in it, and an application that is at work before a body is whole.
    words.push('--no-supervise', '--no-request-buffering');
    this.#child = spawn(process.execPath, [cli, ...words, application], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr.on('data', (data) => {
      this.#stderr += data;
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(signal ?? code));
    });
  }

  get stderr() {
    return this.#stderr;
  }

  /** Resolves when standard error has this; rejects when the server ended without it. */
  waitFor(text) {
    return new Promise((resolve, reject) => {
      const look = () => this.#stderr.includes(text) && resolve();
      this.#child.stderr.on('data', look);
      this.ended.then((end) => reject(new Error(`ended with ${end} before "${text}":\n${this.#stderr}`)));
      look();
    });
  }

  /** Resolves when it serves. */
  async start() {
    await this.waitFor('http://127.0.0.1:');
    this.port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(this.#stderr)[1]);
    return this;
  }

  async ask(path) {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(`http://127.0.0.1:${this.port}/${path}`, { signal });
    return { status: response.status, text: await response.text() };
  }

  /** Resolves when it answers; what keeps the GIL, or a worker that is being replaced, costs what comes meanwhile. */
  async untilServing() {
    const end = performance.now() + PATIENCE_MS;
    while ((await this.ask('hello')).text !== 'hello')
      if (performance.now() > end) throw new Error(`does not serve:\n${this.#stderr}`);
  }

  /** A connection with a request that is sent so far; errors of the connection are the server's to cause. */
  open(bytes) {
    const socket = connect(this.port, '127.0.0.1').on('error', () => {});
    socket.write(bytes);
    return socket;
  }

  /** What hangs is killed, and so ends by SIGKILL. */
  async stop() {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  kill() {
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  /** Resident memory in MB; Linux. */
  get memory() {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'latin1');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
  }
}
