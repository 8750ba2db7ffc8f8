/** Main thread. Settings from all sources: checked, defaulted, frozen. */
import { LidoError } from './errors.js';
import { nearest } from './nearest.js';
import {
  flagOf,
  type Setting,
  type SettingName,
  type Settings,
  settingNames,
  settings,
  type UserSettings,
  variableOf,
} from './settings.js';

export type { Settings, UserSettings } from './settings.js';

/** Where a value came from, for `lido config` and for error messages. */
export type Origin = 'flag' | 'environment' | 'file' | 'option' | 'default';

/** One source's values, as they came: text from flags and the environment, anything from a file. */
export interface Source {
  readonly origin: Exclude<Origin, 'default'>;
  /** A name for people: "the command line", "lido.config.toml". */
  readonly place: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Resolved {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingName, string>>;
}

/** Puts sources together, the first one winning. Throws one LIDO_102 that names every mistake in all of them. */
export function resolveSettings(sources: readonly Source[]): Resolved {
  const mistakes: string[] = [];
  const checked = sources.map((source) => checkSource(source, mistakes));
  if (mistakes.length > 0) throw new LidoError('LIDO_102', ['settings', mistakes.join('; ')]);
  const values: Partial<Record<SettingName, unknown>> = {};
  const origins: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const index = checked.findIndex((source) => source.has(name));
    values[name] = index < 0 ? settings[name].default : checked[index]?.get(name);
    origins[name] = index < 0 ? 'default' : (sources[index]?.place ?? 'default');
  }
  return { settings: Object.freeze(values) as Settings, origins: origins as Record<SettingName, string> };
}

/** The settings of a program that embeds Lido. Throws LIDO_102. */
export function resolveUserSettings(user: UserSettings): Settings {
  return resolveSettings([{ origin: 'option', place: 'the options', values: user }]).settings;
}

/** The LIDO_* variables among the environment's, as a source. */
export function readEnvironment(environment: NodeJS.ProcessEnv): Source {
  const values: Record<string, unknown> = {};
  for (const name of settingNames) {
    const text = environment[variableOf(name)];
    if (text !== undefined) values[name] = settings[name].type === 'strings' ? text.split(',') : text;
  }
  return { origin: 'environment', place: 'the environment', values };
}

function checkSource({ origin, place, values }: Source, mistakes: string[]): Map<SettingName, unknown> {
  const checked = new Map<SettingName, unknown>();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (!isSettingName(key)) {
      mistakes.push(`${place}: unknown setting ${JSON.stringify(key)}${suggest(key)}`);
      continue;
    }
    const label = `${place}: ${labelOf(key, origin)}`;
    const parsed = parseValue(settings[key], value);
    if (parsed instanceof Mistake) mistakes.push(`${label} takes ${parsed.expected}, not ${show(value)}`);
    else checked.set(key, parsed);
  }
  return checked;
}

function labelOf(name: SettingName, origin: Origin): string {
  if (origin === 'flag') return flagOf(name);
  return origin === 'environment' ? variableOf(name) : name;
}

function isSettingName(key: string): key is SettingName {
  return Object.hasOwn(settings, key);
}

/** "did you mean": by another server's name for the setting, by its spelling with dashes or underscores, by likeness. */
export function suggest(key: string): string {
  const plain = key.replace(/^-+/, '').replace(/[-_]/g, '').toLowerCase();
  const same = settingNames.find((name) => name.toLowerCase() === plain);
  const known =
    same ??
    settingNames.find((name) => (settings[name] as Setting).also?.includes(key)) ??
    nearest(key, settingNames);
  return known === null ? '' : `; did you mean ${known}?`;
}

class Mistake {
  readonly expected: string;

  constructor(expected: string) {
    this.expected = expected;
  }
}

function parseValue(setting: Setting, value: unknown): unknown {
  switch (setting.type) {
    case 'boolean':
      return parseBoolean(value);
    case 'integer':
    case 'bytes':
      return parseNumber(
        setting,
        value,
        setting.type === 'bytes' ? 'a whole number of bytes' : 'a whole number',
        true,
      );
    case 'seconds':
      return parseNumber(setting, value, 'a number of seconds', false);
    case 'strings':
      return parseList(value, () => true, 'a list of texts');
    case 'pairs':
      return parseList(value, (text) => /^[^=]+=/.test(text), 'KEY=VALUE');
    case 'string':
      return parseText(setting, value);
  }
}

function parseBoolean(value: unknown): boolean | Mistake {
  if (typeof value === 'boolean') return value;
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  return new Mistake('true or false');
}

function parseNumber({ min = 0 }: Setting, value: unknown, what: string, whole: boolean): number | Mistake {
  const isText = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value);
  const number = isText ? Number(value) : value;
  const fits =
    typeof number === 'number' &&
    Number.isFinite(number) &&
    number >= min &&
    (!whole || Number.isSafeInteger(number));
  return fits ? number : new Mistake(`${what}, ${min} or more`);
}

function parseList(
  value: unknown,
  isGood: (text: string) => boolean,
  what: string,
): readonly string[] | Mistake {
  const list: unknown = typeof value === 'string' ? [value] : value;
  const good = Array.isArray(list) && list.every((item) => typeof item === 'string' && isGood(item));
  return good ? Object.freeze([...(list as string[])]) : new Mistake(what);
}

function parseText({ choices }: Setting, value: unknown): string | Mistake {
  if (typeof value !== 'string') return new Mistake('text');
  if (choices !== undefined && !choices.includes(value)) return new Mistake(choices.join(', '));
  return value;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
