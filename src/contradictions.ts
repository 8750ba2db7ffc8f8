/** Main thread. Settings that are right each by itself, and wrong together. Pure. */
import type { Resolved } from './options.js';
import type { SettingName } from './settings.js';

/** One line for each contradiction, with the places of both sides. */
export function findContradictions({ settings, origins }: Resolved): string[] {
  const found: string[] = [];
  const isSet = (name: SettingName) => origins[name] !== 'default';
  const clash = (name: SettingName, other: SettingName, why: string) =>
    found.push(`${origins[name]}: ${name} contradicts ${other} (${origins[other]}): ${why}`);
  if (settings.runtime === 'javascript') {
    for (const name of ['python', 'pythonpath'] as const)
      if (isSet(name)) clash(name, 'runtime', 'a JavaScript application has no Python');
  }
  if (settings.runtime === 'cpython' && settings.concurrency > 1)
    clash('concurrency', 'runtime', 'a Python application runs one request at a time in each worker');
  for (const address of findRepeated(settings.bind))
    found.push(`${origins.bind}: bind names ${address} twice`);
  return found;
}

/** Port 0 may be asked for more than once: each time it is another port. */
function findRepeated(addresses: readonly string[]): string[] {
  return addresses.filter((address, index) => addresses.indexOf(address) < index && !/^0$|:0$/.test(address));
}
