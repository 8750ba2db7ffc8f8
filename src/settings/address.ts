/** Main thread. Addresses to listen on, as text and as net.Server takes them. Pure. */
import type { AddressInfo } from 'node:net';
import { LidoError } from '../contract/errors.js';
import { Mistake } from './mistake.js';

/** As net.Server.listen takes it. `fd` is a socket that somebody else has opened, and keeps. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  | { readonly fd: number };

/** `abstract`: a Unix socket by a name that is in no file system. unix(7) */
export type BindAddress = ListenAddress | { readonly abstract: string };

const DEFAULT_PORT = 8000;
const HIGHEST_PORT = 65_535;
const UNIX = 'unix:';
/** sun_path of <sys/un.h> less its final NUL; the system cuts a longer one off and listens elsewhere. Bytes. */
const LONGEST_SOCKET_PATH = process.platform === 'darwin' ? 103 : 107;

/** Reads HOST:PORT, [IPV6]:PORT, HOST, :PORT, PORT, unix:PATH, unix:@NAME or fd://N; a Mistake says what is wrong with it. */
export function readAddress(text: string): BindAddress | Mistake {
  if (text.startsWith(UNIX)) return readSocketPath(text.slice(UNIX.length));
  if (/^fd:/i.test(text)) return readDescriptor(text);
  if (/^\d+$/.test(text)) return readPort('127.0.0.1', text);
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/]*))(?::(\d+))?$/.exec(text);
  if (match === null || text === '') return new Mistake(explainAddress(text));
  const [, bracketed, named = '', port = String(DEFAULT_PORT)] = match;
  return readPort(bracketed ?? (named === '' ? '0.0.0.0' : named), port);
}

/** The address of a text that was checked before. Throws LIDO_WRONG_SETTING for one that is none. */
export function parseBind(text: string): BindAddress {
  const address = readAddress(text);
  if (address instanceof Mistake)
    throw new LidoError('LIDO_WRONG_SETTING', [`bind ${JSON.stringify(text)}`, address.text]);
  return address;
}

/**
 * The same for an address of the admin listener: no abstract socket, which every user of the machine may connect to. Throws
 * LIDO_WRONG_SETTING.
 */
export function parseAdminAddress(text: string): ListenAddress {
  const address = parseBind(text);
  if (!('abstract' in address)) return address;
  const why = 'every user of this machine may connect to an abstract socket: write unix:PATH';
  throw new LidoError('LIDO_WRONG_SETTING', [`admin ${JSON.stringify(text)}`, why]);
}

/** The address as a URL; `bound` is what the system really gave, which tells the port where 0 was asked for. */
export function formatAddress(address: BindAddress, bound: AddressInfo | string | null): string {
  if ('path' in address) return `unix:${address.path}`;
  if ('abstract' in address) return `unix:@${address.abstract}`;
  if ('fd' in address) return formatDescriptor(address.fd, bound);
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${port}`;
}

function readSocketPath(path: string): BindAddress | Mistake {
  if (path === '') return new Mistake('unix: needs a path, for example unix:/run/lido.sock');
  if (path.includes('\0'))
    return new Mistake('no path has a NUL in it; an abstract socket is written unix:@NAME');
  if (path.startsWith('@')) return readAbstractName(path.slice(1));
  const length = Buffer.byteLength(path);
  if (length <= LONGEST_SOCKET_PATH) return { path };
  return new Mistake(
    `a path of ${length} bytes is too long: the system takes ${LONGEST_SOCKET_PATH} for a Unix socket`,
  );
}

/** Its name takes the first byte, too, which is NUL. */
function readAbstractName(name: string): BindAddress | Mistake {
  if (name === '') return new Mistake('unix:@ needs a name, for example unix:@lido');
  const length = Buffer.byteLength(name);
  if (length <= LONGEST_SOCKET_PATH) return { abstract: name };
  return new Mistake(
    `a name of ${length} bytes is too long: an abstract socket takes ${LONGEST_SOCKET_PATH}`,
  );
}

/** Whoever started the process has opened it: systemd, or supervisord as standard input. 1 and 2 are where the log goes. */
function readDescriptor(text: string): BindAddress | Mistake {
  const [, digits] = /^fd:\/\/(\d{1,6})$/.exec(text) ?? [];
  const fd = Number(digits);
  if (digits !== undefined && fd !== 1 && fd !== 2) return { fd };
  return new Mistake('a socket that was opened before is written fd://N, and N is 0, or 3 or more');
}

function formatDescriptor(fd: number, bound: AddressInfo | string | null): string {
  if (bound === null) return `fd://${fd}`;
  if (typeof bound === 'string') return `unix:${bound.replace(/^\0/, '@')}`;
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `http://${host}:${bound.port}`;
}

function readPort(host: string, digits: string): BindAddress | Mistake {
  const port = Number(digits);
  if (port <= HIGHEST_PORT) return { host, port };
  return new Mistake(`there is no port ${digits}: the highest is ${HIGHEST_PORT}`);
}

/** What somebody seems to have meant by a text that is no address. */
function explainAddress(text: string): string {
  if (text === '') return 'an empty text is no address';
  const [, scheme, rest = ''] = /^(https?|tcp):\/\/([^/]*)/i.exec(text) ?? [];
  if (scheme !== undefined) return `an address has no scheme: write ${rest}`;
  if (text.includes('/')) return `write unix:${text} for a Unix socket`;
  const [, host = '', port] = /^([^:]*):([^:]*)$/.exec(text) ?? [];
  if (port !== undefined) return `${JSON.stringify(port)} is no port: write ${host}:${DEFAULT_PORT}`;
  if (/^[0-9A-Fa-f:.]+$/.test(text))
    return `an IPv6 address stands in brackets, with its port behind them: [${text}]:${DEFAULT_PORT}`;
  return 'write HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N';
}
