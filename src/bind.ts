/** Main thread. Addresses to listen on. */
import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { LidoError } from './errors.js';

/** As net.Server.listen takes it. */
export type BindAddress = { readonly host: string; readonly port: number } | { readonly path: string };

const DEFAULT_PORT = 8000;

/** Parses HOST:PORT, [v6]:PORT, HOST, :PORT, PORT or unix:PATH. Throws LIDO_102. */
export function parseBind(text: string): BindAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '')
      throw new LidoError('LIDO_102', ['bind', 'unix: needs a path, for example unix:/run/lido.sock']);
    return { path };
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*))(?::(\d+))?$/.exec(text);
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (match === null || text === '' || port > 65535) {
    throw new LidoError('LIDO_102', [
      'bind',
      `${JSON.stringify(text)} is no address: write HOST:PORT, [IPV6]:PORT or unix:PATH`,
    ]);
  }
  const host = match[1] ?? match[2] ?? '';
  if (/^\d+$/.test(text)) return { host: '127.0.0.1', port: Number(text) };
  return { host: host === '' ? '0.0.0.0' : host, port };
}

/** The address as a URL; `bound` is what the system really gave, which tells the port where 0 was asked for. */
export function formatAddress(address: BindAddress, bound: AddressInfo | string | null): string {
  if ('path' in address) return `unix:${address.path}`;
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${port}`;
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
