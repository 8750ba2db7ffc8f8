/** Main thread. Where a running server is asked: its control socket, its admin listener, its process. */
import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { LidoError } from '../contract/errors.js';
import type { Settings, Source } from '../settings/resolve.js';
import { isRunning, readPid } from './pidfile.js';
import { replaceFile } from './replace-file.js';

type Addressing = Pick<Settings, 'controlSocket' | 'admin' | 'pidfile'>;

const NAMES = ['controlSocket', 'admin', 'pidfile'] as const;

export interface Whereabouts {
  /** A path; null where there is none. */
  readonly controlSocket: string | null;
  /** As `admin` is written: "127.0.0.1:9090", "unix:/run/lido/admin.sock"; null where there is none. */
  readonly admin: string | null;
  /** Which process takes signals; null where no pidfile tells. */
  readonly pid: number | null;
}

const NOWHERE: Whereabouts = { controlSocket: null, admin: null, pid: null };

/**
 * Writes beside the pidfile where this server is asked, so that whoever names the pidfile need name nothing else; returns
 * what removes it. Throws LIDO_FILE_NOT_WRITTEN. Does nothing where there is no pidfile.
 */
export function writeWhereabouts(
  { pidfile, controlSocket }: Addressing,
  admins: readonly string[],
): () => void {
  if (pidfile === null) return () => {};
  const path = fileBeside(pidfile);
  const here: Whereabouts = {
    controlSocket: controlSocket === null ? null : resolve(controlSocket),
    admin: readUrl(admins[0]),
    pid: process.pid,
  };
  replaceFile(path, `${JSON.stringify(here)}\n`);
  // Another server may have taken its place.
  return () => {
    if (read(path).pid === process.pid) rmSync(path, { force: true });
  };
}

/**
 * Where the server is that settings and command line tell of. What the command line names is meant alone: a config file in
 * the working directory may be another server's. Throws LIDO_NOT_REACHED where no server runs that the pidfile names.
 */
export function findServer(settings: Addressing, { values }: Source): Whereabouts {
  const named = NAMES.filter((name) => values[name] !== undefined);
  const isMeant = (name: (typeof NAMES)[number]) => named.length === 0 || named.includes(name);
  const told = settings.pidfile !== null && isMeant('pidfile') ? readBeside(settings.pidfile) : NOWHERE;
  const admin = isMeant('admin') ? settings.admin[0] : undefined;
  return {
    controlSocket: (isMeant('controlSocket') ? settings.controlSocket : null) ?? told.controlSocket,
    admin: admin ?? told.admin,
    pid: told.pid,
  };
}

/** Where the server can be looked at, as `admin` is written. Throws LIDO_WRONG_SETTING where nothing tells. */
export function findAddress(settings: Addressing, flags: Source): string {
  const { controlSocket, admin, pid } = findServer(settings, flags);
  if (controlSocket !== null) return `unix:${controlSocket}`;
  if (admin !== null) return admin;
  if (pid === null)
    throw new LidoError('LIDO_WRONG_SETTING', [
      'controlSocket',
      'name it, or admin, or pidfile: where the running server is asked',
    ]);
  throw new LidoError('LIDO_WRONG_SETTING', [
    'pidfile',
    `process ${pid} can be asked nowhere: start it with --control-socket PATH, or with --admin ADDRESS`,
  ]);
}

function readBeside(pidfile: string): Whereabouts {
  const pid = readPid(pidfile);
  if (pid === null || !isRunning(pid))
    throw new LidoError('LIDO_NOT_REACHED', [
      pidfile,
      pid === null ? 'no process is named there' : 'it has ended',
    ]);
  const path = fileBeside(pidfile);
  const told = read(path);
  if (told.pid === pid) return told;
  // The number of one that was killed may be another program's by now, which a signal would end.
  throw new LidoError('LIDO_NOT_REACHED', [
    pidfile,
    `process ${pid} has not written ${path}: it is starting still, or is no server of Lido's`,
  ]);
}

function fileBeside(pidfile: string): string {
  return `${pidfile}.json`;
}

function read(path: string): Whereabouts {
  try {
    return { ...NOWHERE, ...(JSON.parse(readFileSync(path, 'utf8')) as Partial<Whereabouts>) };
  } catch {
    return NOWHERE;
  }
}

/** The address of a URL: "http://127.0.0.1:9090". */
function readUrl(url: string | undefined): string | null {
  return url === undefined
    ? null
    : url.replace(/^http:\/\//, '').replace(/^unix:(.*)/s, (_, path: string) => `unix:${resolve(path)}`);
}
