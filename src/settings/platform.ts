/** Main thread. Settings that this system, or this release of Node.js, cannot do. Pure. */
import type { PlacedMistake } from './mistake.js';
import type { Resolved } from './resolved.js';

/** Where Lido runs. */
export interface Platform {
  /** As process.platform. */
  readonly system: string;
  /** As process.versions.node. */
  readonly node: string;
}

/** The first release with the option `reusePort` of net.Server.listen(). */
const REUSES_PORT = [22, 12] as const;

/** Each at its place, with what does it instead. */
export function findUnsupported(
  { settings, origins }: Resolved,
  { system, node }: Platform,
): PlacedMistake[] {
  const found: PlacedMistake[] = [];
  const isWindows = system === 'win32';
  for (const address of settings.bind) {
    const refuse = (why: string) => found.push({ place: origins.bind, text: `bind ${address}: ${why}` });
    if (address.startsWith('unix:@') && system !== 'linux')
      refuse('only Linux has abstract sockets: write unix:PATH');
    else if (address.startsWith('unix:') && isWindows)
      refuse('Node.js has no Unix sockets on Windows: write HOST:PORT');
    else if (address.startsWith('fd:') && isWindows)
      refuse('Windows hands no open sockets over: write HOST:PORT');
  }
  if (!settings.reusePort) return found;
  if (system !== 'linux')
    found.push({
      place: origins.reusePort,
      text: 'reusePort is for Linux, which shares connections out among servers: elsewhere --processes does',
    });
  if (isOlder(node, REUSES_PORT))
    found.push({
      place: origins.reusePort,
      text: `reusePort needs Node.js ${REUSES_PORT.join('.')} or later, and this is ${node}: --processes shares connections out in any`,
    });
  return found;
}

function isOlder(node: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = node.split('.').map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}
