/** Main thread. What is done with an address before it is listened on. */
import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { type BindAddress, formatAddress, parseBind } from '../settings/address.js';

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

/**
 * Puts a port that is free at the moment in the place of port 0, so that several processes and their successors have the
 * same one. An address that cannot be had is returned as it is: whoever listens there says why.
 */
export async function reservePort(text: string): Promise<string> {
  const address = parseBind(text);
  if ('path' in address || address.port !== 0) return text;
  const holder = createServer().listen(address);
  try {
    await once(holder, 'listening');
  } catch {
    return text;
  }
  const url = formatAddress(address, holder.address());
  await new Promise((resolve) => holder.close(resolve));
  return url.slice('http://'.length);
}
