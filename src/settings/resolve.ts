/** Main thread. Settings from all sources: checked, put together, frozen. */

import type { ErrorCode } from '../contract/errors.js';
import { checkSource, isSettingName, type Source, suggestSetting } from './check-source.js';
import { findContradictions } from './contradictions.js';
import { type PlacedMistake, throwMistakes } from './mistake.js';
import { findUnsupported } from './platform.js';
import type { Resolved } from './resolved.js';
import {
  isList,
  type Setting,
  type SettingName,
  type Settings,
  settingNames,
  settings,
  type UserSettings,
  variableOf,
} from './table.js';

export type { Origin, Source } from './check-source.js';
export { suggestSetting } from './check-source.js';
export type { Resolved } from './resolved.js';
export type { MountSettings, Mounts, Settings, UserMounts, UserSettings } from './table.js';

const HERE = { system: process.platform, node: process.versions.node };

/**
 * Puts sources together, the first one winning. Throws one error, LIDO_WRONG_SETTING unless `code` says otherwise, that
 * names every mistake in all of them, each with its place, what is allowed there, and the nearest right name; `found` are
 * mistakes that the caller knows of already.
 */
export function resolveSettings(
  sources: readonly Source[],
  found: readonly PlacedMistake[] = [],
  code: ErrorCode = 'LIDO_WRONG_SETTING',
): Resolved {
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
  mistakes.push(...findContradictions(resolved), ...findUnsupported(resolved, HERE));
  throwMistakes(mistakes, code);
  return resolved;
}

/**
 * The settings of a program that embeds Lido. Throws LIDO_WRONG_OPTION, also for those in `refused`, which are the program's
 * own business; the text says why. `found` are mistakes that the caller knows of already.
 */
export function resolveUserSettings(
  user: UserSettings,
  refused: readonly SettingName[] = [],
  why = '',
  found: readonly PlacedMistake[] = [],
): Settings {
  const foreign = refused.filter((name) => user[name] !== undefined);
  const mistakes = [...found, ...foreign.map((name) => ({ place: `option ${name}`, text: why }))];
  const own = Object.entries(user).filter(([name]) => !foreign.includes(name as SettingName));
  const source: Source = {
    origin: 'option',
    values: Object.fromEntries(own),
    placeOf: (key) => `option ${key}`,
  };
  return resolveSettings([source], mistakes, 'LIDO_WRONG_OPTION').settings;
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

/** Heroku, Cloud Run and their like set PORT. It is listened on, at every IPv4 address, where no other source sets `bind`. */
export function readPort({ PORT: port }: NodeJS.ProcessEnv): Source {
  const values = port === undefined || port === '' ? {} : { bind: [`0.0.0.0:${port}`] };
  return { origin: 'environment', values, placeOf: () => 'PORT' };
}

function splitList({ separator = /,/ }: Setting, text: string): string[] {
  return text === '' ? [] : text.split(separator);
}

/**
 * Kubernetes sets LIDO_SERVICE_HOST, LIDO_PORT and LIDO_PORT_80_TCP_ADDR for a service that is called lido, and a
 * LIDO_HOME is where somebody put it.
 */
const FOREIGN_VARIABLE = /^LIDO_(SERVICE|PORT|HOME)(_|$)/;

/** LIDO_* variables that are a setting misspelt, or another server's name for one. Others belong to other programs. */
function findMisspelt(environment: NodeJS.ProcessEnv): string[] {
  const known = settingNames.map(variableOf);
  return Object.keys(environment)
    .filter((variable) => variable.startsWith('LIDO_') && !known.includes(variable))
    .filter((variable) => !FOREIGN_VARIABLE.test(variable) && suggestSetting(variable) !== null);
}
