/** Main thread. Which addresses are one client's. Pure. */

/** A network that an IPv6 client can choose its addresses in has 64 bits (RFC 4291, 2.5.1): four groups. */
const GROUPS = 4;
/** An IPv4 address written as one of IPv6 begins so: RFC 4291, section 2.5.5.2. */
const MAPPED = '0,0,0,0,0,65535';

/** An IPv4 address as it is, the network of 64 bits of an IPv6 one: "2001:db8:0:7::/64"; '' for a Unix socket. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const first = splitGroups(head);
  const last = tail === undefined ? [] : splitGroups(tail);
  const zeros = Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0);
  const groups = [...first, ...zeros, ...last];
  if (groups.slice(0, 6).join() === MAPPED) return groups.slice(6).flatMap(splitBytes).join('.');
  const network = groups.slice(0, GROUPS).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

/** The last 32 bits may be written as an IPv4 address, which takes the room of two groups. RFC 4291, section 2.2. */
function splitGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function splitBytes(group: number): readonly [number, number] {
  return [group >> 8, group & 0xff];
}
