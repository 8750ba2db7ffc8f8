/** Main thread. What is done with an address before it is listened on. */
import { chmodSync, existsSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { LidoError } from '../contract/errors.js';
import { type BindAddress, formatAddress, type ListenAddress } from '../settings/address.js';

/** The address as Node can listen on it: an abstract socket is opened here. Throws as bind(2) fails. */
export async function openAbstract(address: BindAddress): Promise<ListenAddress> {
  if (!('abstract' in address)) return address;
  const { bindAbstract } = await import('../system-calls.js');
  return { fd: bindAbstract(address.abstract) };
}

/** Says who may connect to a Unix socket, where somebody has chosen that. `mode`: octal digits. */
export function setSocketMode(address: BindAddress, mode: string | null): void {
  if (mode !== null && 'path' in address) chmodSync(address.path, Number.parseInt(mode, 8));
}

/** Removes a Unix socket that a process which is gone left behind; one that answers is left alone. */
export async function removeStaleSocket(address: BindAddress): Promise<void> {
  if (!('path' in address)) return;
  const { path } = address;
  const found = await lstat(path).catch(() => null);
  if (!found?.isSocket()) return;
  const isStale = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(false));
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    probe.on('close', () => probe.destroy());
  });
  if (isStale) await unlink(path);
}

/** What a person is told who cannot listen there. `flag`: where another address can be named. */
export function explainBindError(
  error: NodeJS.ErrnoException,
  address: BindAddress,
  flag = '--bind',
): LidoError {
  if ('path' in address) return explainSocketError(error, address.path, flag);
  if ('fd' in address) return explainDescriptorError(error, address.fd);
  const remedies: Record<string, string> = {
    EADDRINUSE: `another process listens there: stop it, or choose another with ${flag}`,
    EACCES: `this user may not: choose a port above 1023 or another path with ${flag}`,
    EADDRNOTAVAIL: `this machine has no such address: choose one of its own, or 0.0.0.0, with ${flag}`,
    ENOTFOUND: `the name does not resolve: use an address with ${flag}`,
  };
  const code = error.code ?? error.message;
  return new LidoError(
    'LIDO_CANNOT_LISTEN',
    [formatAddress(address, null), code, remedies[code] ?? `choose another address with ${flag}`],
    { cause: error },
  );
}

function explainDescriptorError(error: NodeJS.ErrnoException, fd: number): LidoError {
  const remedy = 'it has to be a listening stream socket that was open when the process began';
  return new LidoError('LIDO_CANNOT_LISTEN', [`fd://${fd}`, error.code ?? error.message, remedy], {
    cause: error,
  });
}

/** libuv says EACCES also where there is no folder. */
function explainSocketError(error: NodeJS.ErrnoException, path: string, flag: string): LidoError {
  const folder = dirname(path);
  const isThere = existsSync(folder);
  const code = isThere ? (error.code ?? error.message) : 'ENOENT';
  const remedies: Record<string, string> = {
    ENOENT: `there is no folder ${folder}: make it, or choose another path with ${flag}`,
    EACCES: `this user may not write to ${folder}: change that, or choose another path with ${flag}`,
    EADDRINUSE:
      'another process listens there, or it is a file that is no socket: remove it, or choose another',
  };
  const remedy = remedies[code] ?? `choose another path with ${flag}`;
  return new LidoError('LIDO_CANNOT_LISTEN', [`unix:${path}`, code, remedy], { cause: error });
}
