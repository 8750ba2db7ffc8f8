/** Main thread. Settings from all sources: checked, put together, frozen. */
import { findContradictions } from './contradictions.js';
import { LidoError } from './errors.js';
import { nearest } from './nearest.js';
import { Mistake, parseValue } from './parse-value.js';
import {
  flagOf,
  isList,
  type Setting,
  type SettingName,
  type Settings,
  settingNames,
  settings,
  type UserSettings,
  variableOf,
} from './settings.js';

export type { Settings, UserSettings } from './settings.js';

/** Where a value came from. */
export type Origin = 'flag' | 'environment' | 'file' | 'option';

/** One source's values, as they came: text from flags and the environment, anything from a file. */
export interface Source {
  readonly origin: Origin;
  readonly values: Readonly<Record<string, unknown>>;
  /** Where the value of a key stands, for people: "--threads", "LIDO_THREADS", "lido.config.toml:3". */
  readonly placeOf: (key: string) => string;
}

export interface Resolved {
  readonly settings: Settings;
  /** Where each value came from: "default", or a source's place. */
  readonly origins: Readonly<Record<SettingName, string>>;
}

/**
 * Puts sources together, the first one winning. Throws one LIDO_102 that names every mistake in all of them, each with
 * its place, what is allowed there, and the nearest right name; `found` are mistakes that the caller knows of already.
 */
export function resolveSettings(sources: readonly Source[], found: readonly string[] = []): Resolved {
  const mistakes = [...found];
  const checked = sources.map((source) => checkSource(source, mistakes));
  const values: Partial<Record<SettingName, unknown>> = {};
  const origins: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const index = checked.findIndex((source) => source.has(name));
    values[name] = index < 0 ? settings[name].default : checked[index]?.get(name);
    origins[name] = sources[index]?.placeOf(name) ?? 'default';
  }
  const resolved = {
    settings: Object.freeze(values) as Settings,
    origins: origins as Record<SettingName, string>,
  };
  mistakes.push(...findContradictions(resolved));
  throwMistakes(mistakes);
  return resolved;
}

/** The settings of a program that embeds Lido. Throws LIDO_102. */
export function resolveUserSettings(user: UserSettings): Settings {
  return resolveSettings([{ origin: 'option', values: user, placeOf: (key) => `option ${key}` }]).settings;
}

/** The LIDO_* variables among the environment's, as a source. */
export function readEnvironment(environment: NodeJS.ProcessEnv): Source {
  const values: Record<string, unknown> = {};
  for (const name of settingNames) {
    const text = environment[variableOf(name)];
    if (text !== undefined) values[name] = isList(settings[name]) ? splitList(settings[name], text) : text;
  }
  for (const variable of findMisspelt(environment)) values[variable] = environment[variable];
  return {
    origin: 'environment',
    values,
    placeOf: (key) => (isSettingName(key) ? variableOf(key) : key),
  };
}

function splitList({ separator = /,/ }: Setting, text: string): string[] {
  return text === '' ? [] : text.split(separator);
}

/**
 * Kubernetes sets LIDO_SERVICE_HOST, LIDO_PORT and LIDO_PORT_80_TCP_ADDR for a service that is called lido, and a
 * LIDO_HOME is where somebody put it.
 */
const FOREIGN_VARIABLE = /^LIDO_(SERVICE|PORT|HOME)(_|$)/;

/** Variables that are nearly a setting's, or another server's name for one. The others are somebody else's. */
function findMisspelt(environment: NodeJS.ProcessEnv): string[] {
  const known = settingNames.map(variableOf);
  return Object.keys(environment)
    .filter((variable) => variable.startsWith('LIDO_') && !known.includes(variable))
    .filter((variable) => !FOREIGN_VARIABLE.test(variable) && suggestSetting(variable) !== null);
}

function checkSource({ origin, values, placeOf }: Source, mistakes: string[]): Map<SettingName, unknown> {
  const checked = new Map<SettingName, unknown>();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (!isSettingName(key)) {
      mistakes.push(describeUnknown(key, origin, placeOf(key)));
      continue;
    }
    const parsed = parseValue(settings[key], value, origin === 'flag' || origin === 'environment');
    // A flag and a variable name the setting themselves; a line of a file does not.
    const name = origin === 'file' ? `${key} ` : '';
    if (parsed instanceof Mistake) mistakes.push(`${placeOf(key)}: ${name}${parsed.text}`);
    else checked.set(key, parsed);
  }
  return checked;
}

function describeUnknown(key: string, origin: Origin, place: string): string {
  // A switch with a value: commander knows it only without one.
  const known = origin === 'flag' ? settingNames.find((setting) => flagOf(setting) === key) : undefined;
  if (known !== undefined) return `${key}: takes no value; its opposite is ${key.replace('--', '--no-')}`;
  const name = suggestSetting(key);
  const right = name === null ? null : spell(name, origin);
  const what = origin === 'flag' ? 'option' : origin === 'environment' ? 'variable' : `setting ${key}`;
  return `${place}: unknown ${what}${right === null ? '' : `; did you mean ${right}?`}`;
}

function spell(name: SettingName, origin: Origin): string {
  if (origin === 'flag') return name === 'application' ? 'MODULE:CALLABLE without a flag' : flagOf(name);
  return origin === 'environment' ? variableOf(name) : name;
}

function isSettingName(key: string): key is SettingName {
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

/** One mistake is told in one line, several in one each. */
export function throwMistakes(mistakes: readonly string[]): void {
  if (mistakes.length === 0) return;
  const [place = '', ...text] = (mistakes[0] as string).split(': ');
  if (mistakes.length === 1) throw new LidoError('LIDO_102', [place, text.join(': ')]);
  const lines = mistakes.map((mistake) => `\n  - ${mistake}`).join('');
  throw new LidoError('LIDO_102', ['settings', `${mistakes.length} mistakes${lines}`]);
}
