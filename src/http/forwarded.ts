/** Main thread. Who is at the other end of a connection, seen through proxies that are trusted. Pure. */
import { isIP } from 'node:net';
import type { ForwardedField, Trust } from '../settings/trusted-proxies.js';
import type { Connection } from './connection.js';
import { isHost } from './grammar.js';
import type { HttpRequest } from './request.js';
import { defaultPort } from './target.js';

type Headers = HttpRequest['headers'];

/** What one proxy told of the request that it took in. */
interface Hop {
  readonly for: string | undefined;
  readonly proto: string | undefined;
  readonly host: string | undefined;
  readonly port: string | undefined;
}

/** RFC 7239, section 6; the port is empty where it is not told. */
interface Address {
  readonly address: string;
  readonly port: string;
}

/** The connection as the client made it; the given one's own facts where its peer is not trusted, or told nothing. */
export function resolveForwarded(connection: Connection, headers: Headers, trust: Trust): Connection {
  let seen = connection;
  if (!trust.includes(connection.remoteAddress)) return seen;
  const hops = trust.fields.has('forwarded') ? readForwarded(headers) : readXForwarded(headers, trust.fields);
  // The last one was told by the peer itself; one further back counts only if whoever told it is trusted, too.
  for (const hop of hops.reverse()) {
    const client = parseNode(hop.for);
    seen = applyHop(seen, hop, client);
    if (client === null || !trust.includes(client.address)) break;
  }
  return seen;
}

/** What a hop did not tell, or told in a way that cannot be read, stays as the hop after it saw it. */
function applyHop(seen: Connection, hop: Hop, client: Address | null): Connection {
  const proto = hop.proto?.toLowerCase();
  const scheme = proto === 'http' || proto === 'https' ? proto : seen.scheme;
  const port = hop.port !== undefined && isPort(hop.port) ? hop.port : undefined;
  const host = hop.host !== undefined && isHost(hop.host) ? addPort(hop.host, port, scheme) : seen.host;
  const named = host === null ? null : splitHost(host);
  return {
    scheme,
    host,
    serverName: named?.name ?? seen.serverName,
    serverPort: port ?? (named === null ? seen.serverPort : named.port || defaultPort(scheme)),
    remoteAddress: client?.address ?? seen.remoteAddress,
    remotePort: client === null ? seen.remotePort : client.port,
    ...(seen.tls === undefined ? {} : { tls: seen.tls }),
  };
}

/** The lists of the X-Forwarded fields side by side, counted from their ends: each proxy adds to the end. */
function readXForwarded(headers: Headers, fields: ReadonlySet<ForwardedField>): Hop[] {
  const list = (field: ForwardedField) => (fields.has(field) ? splitList(headers[field]) : []);
  const clients = list('x-forwarded-for');
  const protos = list('x-forwarded-proto');
  const hosts = list('x-forwarded-host');
  const ports = list('x-forwarded-port');
  const count = Math.max(clients.length, 1);
  return Array.from({ length: count }, (_, index) => ({
    for: clients[index],
    proto: protos.at(index - count),
    host: hosts.at(index - count),
    port: ports.at(index - count),
  }));
}

/** RFC 7239, section 4. A field that breaks its grammar tells nothing. */
function readForwarded(headers: Headers): Hop[] {
  const hops: Hop[] = [];
  for (const element of splitQuoted(String(headers.forwarded ?? ''), ',')) {
    const pairs = new Map<string, string>();
    for (const pair of splitQuoted(element, ';')) {
      const match = PAIR.exec(pair);
      if (match === null) return [];
      const [, name = '', token, quoted = ''] = match;
      pairs.set(name.toLowerCase(), token ?? quoted.replace(/\\(.)/g, '$1'));
    }
    hops.push({
      for: pairs.get('for'),
      proto: pairs.get('proto'),
      host: pairs.get('host'),
      port: undefined,
    });
  }
  return hops;
}

/** A token takes in colons and brackets too, which RFC 7239 wants quoted and some proxies do not quote. */
const PAIR = /^\s*([\w!#$%&'*+.^`|~-]+)=(?:([^\s"\\,;=]+)|"((?:[^"\\]|\\.)*)")\s*$/;

/** Cuts at a separator that does not stand in quotes, and drops empty pieces. */
function splitQuoted(text: string, separator: ',' | ';'): string[] {
  const pieces = separator === ',' ? /(?:[^",]|"(?:[^"\\]|\\.)*"?)+/g : /(?:[^";]|"(?:[^"\\]|\\.)*"?)+/g;
  return (text.match(pieces) ?? []).filter((piece) => piece.trim() !== '');
}

/** A field's list; node:http has joined repeated fields. */
function splitList(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  return String(value)
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** RFC 7239, section 6: an address with or without a port; null for `unknown`, for hidden names, and for noise. */
function parseNode(text: string | undefined): Address | null {
  if (text === undefined) return null;
  if (isIP(text) !== 0) return { address: text, port: '' };
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::(\d{1,5}))?$/.exec(text);
  const [, bracketed, dotted, port = ''] = match ?? [];
  const address = bracketed ?? dotted ?? '';
  return isIP(address) !== 0 && (port === '' || isPort(port)) ? { address, port } : null;
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536;
}

/** A host that came without its port gets the one that was told apart from it. */
function addPort(host: string, port: string | undefined, scheme: 'http' | 'https'): string {
  const isPlain = port === undefined || port === defaultPort(scheme) || splitHost(host).port !== '';
  return isPlain ? host : `${host}:${port}`;
}

function splitHost(host: string): { name: string; port: string } {
  const colon = host.indexOf(':', host.lastIndexOf(']') + 1);
  return colon < 0 ? { name: host, port: '' } : { name: host.slice(0, colon), port: host.slice(colon + 1) };
}
