/** Main thread. One source's settings, each checked by itself. Pure. */
import { hookNames } from './hooks.js';
import { Mistake, type PlacedMistake } from './mistake.js';
import { nearest } from './nearest.js';
import { findOtherNames, flatten, type OtherName, settingOf } from './other-servers.js';
import { parseValue } from './parse-value.js';
import {
  flagOf,
  type MountSettings,
  type Mounts,
  namesInScope,
  type Setting,
  type SettingName,
  settingNames,
  settings,
  variableOf,
} from './table.js';
import { isUrlPath, URL_PATH_RULE } from './url-path.js';

/** Where a value came from. */
export type Origin = 'flag' | 'environment' | 'file' | 'option';

/** One source's values, as they came: text from flags and the environment, anything from a file. */
export interface Source {
  readonly origin: Origin;
  readonly values: Readonly<Record<string, unknown>>;
  /**
   * Where the value of a key is written, for people: "--threads", "LIDO_THREADS", "lido.config.toml:3". `inner` leads to a
   * key within that value: placeOf('mounts', '/shop', 'threads').
   */
  readonly placeOf: (key: string, ...inner: readonly string[]) => string;
}

export type Checked = Map<SettingName, unknown>;

/** A source's right values; what is wrong is added to the mistakes. */
export function checkSource(source: Source, mistakes: PlacedMistake[]): Checked {
  const { origin, values, placeOf } = source;
  const checked: Checked = new Map();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (!isSettingName(key)) {
      mistakes.push({ place: placeOf(key), text: describeUnknown(key, origin) });
      continue;
    }
    const parsed = parseValue(settings[key], value, origin === 'flag' || origin === 'environment');
    // A flag and a variable name the setting themselves; a line of a file does not.
    const name = origin === 'file' ? `${key} ` : '';
    if (parsed instanceof Mistake) mistakes.push({ place: placeOf(key), text: `${name}${parsed.text}` });
    else checked.set(key, key === 'mounts' ? checkMounts(parsed as object, source, mistakes) : parsed);
  }
  return checked;
}

const NOT_FOR_MOUNTS: readonly SettingName[] = namesInScope('process', 'listener', 'server');

function checkMounts(mounts: object, { origin, placeOf }: Source, mistakes: PlacedMistake[]): Mounts {
  const checked = Object.entries(mounts).map(([path, given]): [string, MountSettings] => {
    const placeIn: PlaceIn = (...keys) => `${placeOf('mounts', path, ...keys)}: mounts ${path}`;
    const place = placeIn();
    if (!isUrlPath(path)) mistakes.push({ place, text: URL_PATH_RULE });
    return [path, checkMount(given, origin, placeIn, mistakes)];
  });
  return Object.freeze(Object.fromEntries(checked));
}

/** Where a mount stands, or a setting within it. */
type PlaceIn = (...keys: readonly string[]) => string;

function checkMount(
  given: unknown,
  origin: Origin,
  placeIn: PlaceIn,
  mistakes: PlacedMistake[],
): MountSettings {
  const place = placeIn();
  const values = typeof given === 'string' ? { application: given } : given;
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    mistakes.push({
      place,
      text: `takes MODULE:CALLABLE or an object of settings, not ${JSON.stringify(given)}`,
    });
    return { application: '' };
  }
  const foreign = NOT_FOR_MOUNTS.filter((name) => Object.hasOwn(values, name));
  for (const name of foreign)
    mistakes.push({ place: placeIn(name), text: `${name} is for the whole server, not for a mount` });
  const own = Object.entries(values).filter(([key]) => !foreign.includes(key as SettingName));
  if (!own.some(([key]) => key === 'application')) mistakes.push({ place, text: 'names no application' });
  const source: Source = {
    origin: origin === 'option' ? 'option' : 'file',
    values: Object.fromEntries(own),
    placeOf: (key) => (origin === 'option' ? `${place} ${key}` : placeIn(key)),
  };
  return Object.freeze(Object.fromEntries(checkSource(source, mistakes))) as unknown as MountSettings;
}

function describeUnknown(key: string, origin: Origin): string {
  // A switch with a value: commander knows it only without one.
  const known = origin === 'flag' ? settingNames.find((setting) => flagOf(setting) === key) : undefined;
  if (known !== undefined) return `takes no value; its opposite is ${key.replace('--', '--no-')}`;
  const what = origin === 'flag' ? 'option' : origin === 'environment' ? 'variable' : `setting ${key}`;
  const hook = origin === 'file' ? nearest(key, hookNames, SLIP) : null;
  if (hook !== null) return `unknown hook ${key}; did you mean ${hook}?`;
  const { setting, others } = identify(key);
  if (setting !== null) return `unknown ${what}; did you mean ${spell(setting, origin)}?`;
  const told = [...new Set(others.flatMap((row) => settingOf(row) ?? []))].map(
    (name) => `; did you mean ${spell(name, origin)}?${tellDifference(others, name)}`,
  );
  return `unknown ${what}${told.join('')}${tellAbsence(others)}`;
}

/** What is different about the setting that stands for another server's name. */
function tellDifference(others: readonly OtherName[], name: SettingName): string {
  const texts = others.filter(({ setting, text }) => setting === name && text !== '').map(({ text }) => text);
  return texts.length === 0 ? '' : ` (${[...new Set(texts)].join('; ')})`;
}

/** Why there is nothing for it here, each reason once, with the servers that have it. */
function tellAbsence(others: readonly OtherName[]): string {
  const absent = others.filter((row) => settingOf(row) === null);
  return [...new Set(absent.map(({ text }) => text))]
    .map((text) => {
      const servers = absent.filter((row) => row.text === text).flatMap((row) => row.servers);
      return `, known from ${servers.join(', ')}: ${text}`;
    })
    .join('');
}

function spell(name: SettingName, origin: Origin): string {
  if (origin === 'flag') return name === 'application' ? 'MODULE:CALLABLE without a flag' : flagOf(name);
  return origin === 'environment' ? variableOf(name) : name;
}

export function isSettingName(key: string): key is SettingName {
  return Object.hasOwn(settings, key);
}

/** The setting that was meant: by its spelling, by another server's name for it, by likeness; or null. */
export function suggestSetting(key: string): SettingName | null {
  const { setting, others } = identify(key);
  const [other] = others;
  return setting ?? (other === undefined ? null : settingOf(other));
}

/**
 * A name that differs from a setting by one letter in five is taken for a slip, before it is looked for among families of
 * other servers' names, such as `log-*`.
 */
const SLIP = 0.2;

/** A setting, or what is known of a name that other servers have; neither where nobody has it. */
function identify(key: string): { setting: SettingName | null; others: readonly OtherName[] } {
  const bare = bareName(key);
  const own = findOwn(key);
  const others = own === null ? findOtherNames(bare) : [];
  const isExact = others.some(({ names }) => names.some((name) => flatten(name) === flatten(bare)));
  if (own !== null || isExact) return { setting: own, others };
  const slip = nearestSetting(bare, SLIP);
  if (slip !== null || others.length > 0) return { setting: slip, others: slip === null ? others : [] };
  return { setting: nearestSetting(bare), others };
}

/** By its spelling, or by a name that it has elsewhere than with the servers of the table. */
function findOwn(key: string): SettingName | null {
  const plain = flatten(bareName(key));
  const also = (name: SettingName) => (settings[name] as Setting).also ?? [];
  return (
    settingNames.find((name) => flatten(name) === plain) ??
    settingNames.find((name) => also(name).some((other) => flatten(other) === plain)) ??
    null
  );
}

function nearestSetting(text: string, farthest?: number): SettingName | null {
  const near = nearest(flatten(text), settingNames.map(flatten), farthest);
  return settingNames.find((name) => flatten(name) === near) ?? null;
}

function bareName(key: string): string {
  return key.replace(/^--?(no-)?|^LIDO_/, '');
}
