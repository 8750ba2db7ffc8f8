/** Main thread. Settings that are right each by itself, and wrong together. Pure. */
import type { PlacedMistake } from './mistake.js';
import type { Resolved } from './resolved.js';
import type { SettingName, Settings } from './table.js';

/** The place where a setting was given a value; null for a default, and for what a mount has from the server. */
type OriginOf = (name: SettingName) => string | null;

/** Each contradiction at the place of one side, with that of the other. */
export function findContradictions({ settings, origins }: Resolved): PlacedMistake[] {
  const originOf: OriginOf = (name) => (origins[name] === 'default' ? null : origins[name]);
  const found = findWithinApplication(settings, originOf);
  for (const address of findRepeated(settings.bind))
    found.push({ place: origins.bind, text: `bind names ${address} twice` });
  const { forwardedFields } = settings;
  if (
    forwardedFields.includes('forwarded') &&
    forwardedFields.some((field) => field.startsWith('x-forwarded-'))
  )
    found.push({
      place: origins.forwardedFields,
      text: 'forwarded tells all that the x-forwarded fields tell: name either it or them',
    });
  if (settings.reload && settings.supervise === false)
    found.push({
      place: origins.reload,
      text: `reload contradicts supervise (${origins.supervise}): another process loads the new code`,
    });
  found.push(...findTlsMistakes(settings, origins));
  if (settings.mounts === null) return found;
  if (settings.application !== null)
    found.push({
      place: origins.application,
      text: `application contradicts mounts (${origins.mounts}): one application, or several; mount it at a path too`,
    });
  for (const [path, own] of Object.entries(settings.mounts)) {
    const place = `${origins.mounts}: ${path}`;
    const inherited: OriginOf = (name) =>
      Object.hasOwn(own, name) ? place : name === 'runtime' ? originOf(name) : null;
    found.push(...findWithinApplication({ ...settings, ...own }, inherited));
  }
  return found;
}

function findTlsMistakes(
  { certfile, keyfile, certReqs, caCerts }: Settings,
  origins: Resolved['origins'],
): PlacedMistake[] {
  const found: PlacedMistake[] = [];
  if (certfile.length !== keyfile.length)
    found.push({
      place: certfile.length > keyfile.length ? origins.certfile : origins.keyfile,
      text: `each certificate has a key of its own, and here are ${certfile.length} in certfile and ${keyfile.length} in keyfile`,
    });
  if (certReqs !== 'none' && (caCerts === null || certfile.length === 0))
    found.push({ place: origins.certReqs, text: 'certReqs needs certfile, and caCerts to check by' });
  return found;
}

function findWithinApplication(settings: Settings, originOf: OriginOf): PlacedMistake[] {
  const found: PlacedMistake[] = [];
  const clash = (name: SettingName, other: SettingName, why: string) =>
    found.push({
      place: originOf(name) ?? name,
      text: `${name} contradicts ${other} (${originOf(other) ?? 'default'}): ${why}`,
    });
  if (settings.runtime === 'javascript') {
    for (const name of ['python', 'pythonpath'] as const)
      if (originOf(name) !== null) clash(name, 'runtime', 'a JavaScript application has no Python');
  }
  if (settings.runtime === 'javascript') {
    for (const name of ['interface', 'loop'] as const)
      if (originOf(name) !== null && settings[name] !== 'auto')
        clash(name, 'runtime', 'a JavaScript application speaks its own form of WSGI');
  }
  if (settings.interface === 'wsgi' && settings.runtime !== 'javascript' && (settings.concurrency ?? 1) > 1)
    clash(
      'concurrency',
      'interface',
      'a WSGI application in Python runs one request at a time in each worker',
    );
  if (settings.interface === 'asgi' && settings.validate)
    clash(
      'validate',
      'interface',
      'it holds WSGI applications to PEP 3333; what ASGI demands is checked always',
    );
  const { threads, minThreads, maxThreads } = settings;
  if (threads !== null && maxThreads !== null)
    clash(
      originOf('maxThreads') === null ? 'threads' : 'maxThreads',
      originOf('maxThreads') === null ? 'maxThreads' : 'threads',
      'one number, or two between which it changes',
    );
  if (minThreads !== null && maxThreads === null)
    found.push({
      place: originOf('minThreads') ?? 'minThreads',
      text: 'minThreads needs maxThreads; a fixed number is threads',
    });
  if (minThreads !== null && maxThreads !== null && minThreads > maxThreads)
    clash('minThreads', 'maxThreads', `${minThreads} is more than ${maxThreads}`);
  return found;
}

/** Addresses that are named twice. Port 0 is no repetition: the system gives another free port each time. */
function findRepeated(addresses: readonly string[]): string[] {
  return addresses.filter((address, index) => addresses.indexOf(address) < index && !/^0$|:0$/.test(address));
}
