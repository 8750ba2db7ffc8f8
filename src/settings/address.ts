/** Main thread. Addresses to listen on, as text and as net.Server takes them. Pure. */
import type { AddressInfo } from 'node:net';
import { LidoError } from '../contract/errors.js';

/** As net.Server.listen takes it. */
export type BindAddress = { readonly host: string; readonly port: number } | { readonly path: string };

const DEFAULT_PORT = 8000;

/** Parses HOST:PORT, [v6]:PORT, HOST, :PORT, PORT or unix:PATH. Throws LIDO_WRONG_SETTING. */
export function parseBind(text: string): BindAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '')
      throw new LidoError('LIDO_WRONG_SETTING', [
        'bind',
        'unix: needs a path, for example unix:/run/lido.sock',
      ]);
    return { path };
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*))(?::(\d+))?$/.exec(text);
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (match === null || text === '' || port > 65535) {
    throw new LidoError('LIDO_WRONG_SETTING', [
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
