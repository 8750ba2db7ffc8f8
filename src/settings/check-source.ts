/** Main thread. One source's settings, each checked by itself. Pure. */
import { Mistake, type PlacedMistake } from './mistake.js';
import { nearest } from './nearest.js';
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
  /** Where the value of a key stands, for people: "--threads", "LIDO_THREADS", "lido.config.toml:3"; of one within it too. */
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
  const name = suggestSetting(key);
  const right = name === null ? null : spell(name, origin);
  const what = origin === 'flag' ? 'option' : origin === 'environment' ? 'variable' : `setting ${key}`;
  return `unknown ${what}${right === null ? '' : `; did you mean ${right}?`}`;
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
  const bare = key.replace(/^--?(no-)?|^LIDO_/, '');
  const plain = flatten(bare);
  const also = (name: SettingName) => (settings[name] as Setting).also ?? [];
  return (
    settingNames.find((name) => flatten(name) === plain) ??
    settingNames.find((name) => also(name).some((other) => flatten(other) === plain)) ??
    nearestSetting(bare)
  );
}

function nearestSetting(text: string): SettingName | null {
  const near = nearest(flatten(text), settingNames.map(flatten));
  return settingNames.find((name) => flatten(name) === near) ?? null;
}

/** Spelling apart: graceful_timeout, graceful-timeout and gracefulTimeout are one. */
function flatten(name: string): string {
  return name.replace(/[-_]/g, '').toLowerCase();
}
