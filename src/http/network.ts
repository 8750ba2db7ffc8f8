/** Main thread. Which addresses are one client's. Pure. */

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** A network that an IPv6 client can choose its addresses in has 64 bits (RFC 4291, 2.5.1): four groups. */
const GROUPS = 4;

/** An IPv4 address as it is, the network of 64 bits of an IPv6 one: "2001:db8:0:7::/64"; '' for a Unix socket. */
export function networkOf(address: string): string {
  const [, ipv4] = MAPPED.exec(address) ?? [];
  if (ipv4 !== undefined) return ipv4;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const first = splitGroups(head);
  const last = tail === undefined ? [] : splitGroups(tail);
  const zeros = Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  const groups = [...first, ...zeros, ...last].slice(0, GROUPS);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** The last 32 bits may be written as an IPv4 address, which takes the room of two groups. RFC 4291, section 2.2. */
function splitGroups(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]));
}
