/** A server that is operated on: Lido, gunicorn or granian with the same application, two processes of four threads each. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get as getPlain } from 'node:http';
import { get as getByTls } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lidoCommand, pythonApps, venv } from '../paths.mjs';

const PROCESSES = 2;
const THREADS = 4;
const START_LIMIT_MS = 60_000;

/** What is running ends with this program, however that ends. */
const groups = new Set();
process.on('exit', () => {
  for (const pid of groups) killGroup(pid, 'SIGKILL');
});
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

/** `can`: what it has at all, as its own documentation tells. */
export const servers = {
  Lido: {
    can: ['reload', 'recycle', 'scale', 'renew', 'upgrade'],
    command: ({ port, pidfile, tls, recycle }) => [
      ...[process.execPath, lidoCommand, '--bind', `127.0.0.1:${port}`, '--python', venv],
      ...['--processes', PROCESSES, '--threads', THREADS, '--pidfile', pidfile],
      ...(tls === null ? [] : ['--certfile', tls.cert, '--keyfile', tls.key]),
      ...(recycle ? ['--max-requests', 200, '--max-requests-jitter', 50] : []),
      'whoami:application',
    ],
  },
  'gunicorn gthread': {
    can: ['reload', 'recycle', 'scale', 'renew', 'upgrade'],
    command: ({ port, pidfile, tls, recycle }) => [
      ...[`${venv}/bin/gunicorn`, '--bind', `127.0.0.1:${port}`, '--worker-class', 'gthread'],
      ...['--workers', PROCESSES, '--threads', THREADS, '--pid', pidfile, '--keep-alive', 75],
      ...(tls === null ? [] : ['--certfile', tls.cert, '--keyfile', tls.key]),
      ...(recycle ? ['--max-requests', 200, '--max-requests-jitter', 50] : []),
      'whoami:application',
    ],
  },
  granian: {
    can: ['reload'],
    command: ({ port, pidfile, tls }) => [
      ...[
        `${venv}/bin/granian`,
        '--interface',
        'wsgi',
        '--host',
        '127.0.0.1',
        '--port',
        port,
        '--no-access-log',
        '--respawn-failed-workers',
      ],
      ...['--workers', PROCESSES, '--blocking-threads', THREADS, '--pid-file', pidfile],
      ...(tls === null ? [] : ['--ssl-certificate', tls.cert, '--ssl-keyfile', tls.key]),
      'whoami:application',
    ],
  },
};

export class Site {
  folder = mkdtempSync(join(tmpdir(), 'lido-operate-'));
  port;
  tls = null;
  #name;
  #recycle;
  #child = null;
  #said = '';

  constructor(name, { recycle = false, tls = false } = {}) {
    this.#name = name;
    this.#recycle = recycle;
    if (tls) this.tls = { cert: join(this.folder, 'cert.pem'), key: join(this.folder, 'key.pem') };
  }

  get pid() {
    return this.#child.pid;
  }

  get pidfile() {
    return join(this.folder, 'pid');
  }

  async start() {
    this.port ??= await findFreePort();
    if (this.tls !== null) makeCertificate(this.tls);
    const { port, pidfile, tls } = this;
    const [program, ...words] = servers[this.#name].command({ port, pidfile, tls, recycle: this.#recycle });
    this.#child = spawn(program, words.map(String), {
      cwd: pythonApps,
      env: { ...process.env, VIRTUAL_ENV: venv, PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: pythonApps },
      stdio: ['ignore', 'pipe', 'pipe'],
      // What takes its place belongs to its group, and ends with it.
      detached: true,
    });
    groups.add(this.#child.pid);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (text) => {
        this.#said = (this.#said + text).slice(-4000);
      });
    const end = performance.now() + START_LIMIT_MS;
    while (!(await answers(port, tls !== null))) {
      if (this.#child.exitCode !== null || performance.now() > end)
        throw new Error(`no start: ${this.#said}`);
      await sleep(20);
    }
    return this;
  }

  signal(name) {
    process.kill(this.pid, name);
  }

  async untilEnded() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  /** Lets it end by itself first. */
  async close() {
    if (this.#child !== null) killGroup(this.#child.pid, 'SIGTERM');
    await Promise.race([this.untilEnded(), sleep(3000)]);
    if (this.#child !== null) killGroup(this.#child.pid, 'SIGKILL');
    groups.delete(this.#child?.pid);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A new one, for the same name. */
export function makeCertificate({ cert, key }) {
  const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const words = ['req', '-x509', ...elliptic, '-keyout', key, '-out', cert, '-subj', '/CN=lido.test'];
  execFileSync('openssl', words, { stdio: 'ignore' });
}

export async function findFreePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

/** Whether it serves: some listen before they do. */
function answers(port, isSecure) {
  return new Promise((resolve) => {
    const get = isSecure ? getByTls : getPlain;
    const options = { port, host: '127.0.0.1', agent: false, rejectUnauthorized: false };
    const asked = get(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200));
      response.on('error', () => resolve(false));
    });
    asked.on('error', () => resolve(false));
  });
}

/** Whether somebody listens there. */
export function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}
