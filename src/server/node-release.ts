/** Main thread. What is to be said of the Node.js that Lido runs on. Pure. */

/** The first releases of each line without the holes that were known in what Lido uses of Node. */
const SOUND_RELEASES: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  22: [23, 2],
  24: [18, 1],
};
/** These have had their last security fixes: nodejs.org/en/about/previous-releases. */
const ENDED_LINES: Readonly<Record<number, string>> = {
  20: 'April 2026',
  21: 'June 2024',
  23: 'June 2025',
  25: 'June 2026',
};

/** One line for the log where a newer Node would be safer, or null; `version` is as in process.versions.node. */
export function describeNodeRelease(version: string): string | null {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const ended = ENDED_LINES[major];
  if (ended !== undefined)
    return `Node.js ${version} has had no security fixes since ${ended}: Lido runs on it, but 24 is safer`;
  const [soundMinor, soundPatch] = SOUND_RELEASES[major] ?? [0, 0];
  if (minor > soundMinor || (minor === soundMinor && patch >= soundPatch)) return null;
  return `Node.js ${version} has known security holes: use ${major}.${soundMinor}.${soundPatch} or later`;
}
