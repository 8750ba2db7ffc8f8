/**
 * Main thread. The line or block by which a proxy tells, before the first request, who is at the other end of a connection.
 * Pure. "The PROXY protocol", versions 1 and 2: haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface ProxyHeader {
  /** Bytes of it; what follows is the client's. */
  readonly length: number;
  /** The client and what it connected to; null where the proxy speaks for itself (a health check), or does not know. */
  readonly ends: ProxiedEnds | null;
}

export interface ProxiedEnds {
  readonly remoteAddress: string;
  readonly remotePort: string;
  readonly serverAddress: string;
  readonly serverPort: string;
}

/** More has to come before it can be told. */
export const INCOMPLETE = 'incomplete';
/** It is no header of this protocol: the connection is not to be believed. */
export const MALFORMED = 'malformed';

/** Section 2.1: the longest line of version 1, with its CR LF. */
const LONGEST_LINE = 107;
/** Section 2.2. */
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_PART = 16;
/** Version 2 says its length in 16 bits; what needs more than addresses and a few extensions is no proxy's. Bytes. */
const LONGEST_BLOCK = 4096;

/** Reads the header at the start of what a connection has sent so far. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | typeof INCOMPLETE | typeof MALFORMED {
  if (startsLike(bytes, SIGNATURE)) return bytes.length < FIXED_PART ? INCOMPLETE : parseBlock(bytes);
  if (startsLike(bytes, Buffer.from('PROXY '))) return parseLine(bytes);
  return MALFORMED;
}

/** True as well where too little has come to tell. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function parseLine(bytes: Buffer): ProxyHeader | typeof INCOMPLETE | typeof MALFORMED {
  const end = bytes.subarray(0, LONGEST_LINE).indexOf('\r\n');
  if (end < 0) return bytes.length < LONGEST_LINE ? INCOMPLETE : MALFORMED;
  const [, family, ...rest] = bytes.toString('latin1', 0, end).split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { length, ends: null };
  const [remoteAddress = '', serverAddress = '', remotePort = '', serverPort = '', ...more] = rest;
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false;
  const isWhole =
    more.length === 0 &&
    isAddress(remoteAddress) &&
    isAddress(serverAddress) &&
    isPort(remotePort) &&
    isPort(serverPort);
  return isWhole ? { length, ends: { remoteAddress, remotePort, serverAddress, serverPort } } : MALFORMED;
}

/** Without a leading zero, as section 2.1 has it. */
function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

const LOCAL = 0x20;
const PROXY = 0x21;
/** AF_INET and AF_INET6 over TCP, with the bytes of one address. */
const FAMILIES: ReadonlyMap<number, number> = new Map([
  [0x11, 4],
  [0x21, 16],
]);

function parseBlock(bytes: Buffer): ProxyHeader | typeof INCOMPLETE | typeof MALFORMED {
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = FIXED_PART + bytes.readUInt16BE(14);
  if ((command !== LOCAL && command !== PROXY) || length > LONGEST_BLOCK) return MALFORMED;
  if (bytes.length < length) return INCOMPLETE;
  const size = FAMILIES.get(family);
  // Section 2.2: of a family that is not known, or of a proxy's own connection, the addresses are passed over.
  if (command === LOCAL || size === undefined) return { length, ends: null };
  if (length < FIXED_PART + 2 * size + 4) return MALFORMED;
  const ports = FIXED_PART + 2 * size;
  return {
    length,
    ends: {
      remoteAddress: showAddress(bytes.subarray(FIXED_PART, FIXED_PART + size)),
      remotePort: String(bytes.readUInt16BE(ports)),
      serverAddress: showAddress(bytes.subarray(FIXED_PART + size, ports)),
      serverPort: String(bytes.readUInt16BE(ports + 2)),
    },
  };
}

/** ::ffff:0:0/96 of RFC 4291, section 2.5.5.2. */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** RFC 5952 as far as it costs nothing: groups without leading zeros, none left out; an IPv4 address as the system shows it. */
function showAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.subarray(0, MAPPED.length).equals(MAPPED))
    return `::ffff:${bytes.subarray(MAPPED.length).join('.')}`;
  return Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16)).join(':');
}
