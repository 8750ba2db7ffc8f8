/** Main thread. Which proxies are trusted, and with what. Pure. */
import { BlockList, isIP, isIPv4 } from 'node:net';

/** The fields that a proxy may be trusted to set. `forwarded` is RFC 7239's, which tells all that the x-forwarded fields tell. */
export const FORWARDED_FIELDS = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded',
  'x-request-id',
  'traceparent',
] as const;

export type ForwardedField = (typeof FORWARDED_FIELDS)[number];

export interface Trust {
  readonly includes: (address: string) => boolean;
  readonly fields: ReadonlySet<ForwardedField>;
}

/**
 * Trusts the proxies at these addresses or networks ("10.0.0.0/8", "::1"); `unix` stands for whoever comes over a Unix
 * socket, `*` for everyone. Only the fields that those proxies set themselves may be named: any other comes from the
 * client as it is. Throws a RangeError that names what is malformed.
 */
export function trustProxies(proxies: readonly string[], fields: readonly ForwardedField[]): Trust {
  if (fields.includes('forwarded') && fields.some((field) => field.startsWith('x-forwarded-')))
    throw new RangeError('forwarded tells all that the x-forwarded fields tell: name either it or them');
  const networks = new BlockList();
  for (const proxy of proxies) {
    if (proxy !== '*' && proxy !== 'unix') addNetwork(networks, proxy);
  }
  const everyone = proxies.includes('*');
  const unix = everyone || proxies.includes('unix');
  return {
    includes: (address) => (address === '' ? unix : everyone || isListed(networks, address)),
    fields: new Set(fields),
  };
}

function addNetwork(networks: BlockList, text: string): void {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (version === 0 || rest.length > 0 || !(length <= bits))
    throw new RangeError(`${JSON.stringify(text)} is neither an address, nor a network, nor unix, nor *`);
  networks.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
}

/** A listener on both families sees IPv4 clients as ::ffff:a.b.c.d, which BlockList compares as IPv4. */
function isListed(networks: BlockList, address: string): boolean {
  return isIP(address) !== 0 && networks.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}
