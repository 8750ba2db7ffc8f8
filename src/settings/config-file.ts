/** Main thread. The config file: found, and read in the format that its name tells. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LidoError } from '../contract/errors.js';
import { type HookSource, type Hooks, PROCESS_HOOKS, takeHooks } from './hooks.js';
import { locateKey } from './locate-key.js';
import { throwMistakes } from './mistake.js';
import type { Source, UserSettings } from './resolve.js';

const ENDINGS = ['ts', 'mts', 'js', 'mjs', 'json', 'toml'];

/** Endings that other tools read. Lido does not read such a file, and says so rather than to start without its settings. */
const FOREIGN_ENDINGS = ['cjs', 'cts', 'yaml', 'yml'];

/** What is called lido, and holds settings: what ends in .js or .ts may as well be an application. */
const MISNAMED = ['toml', 'json', 'yaml', 'yml'].map((ending) => `lido.${ending}`);

/** `import { defineConfig } from 'lido'` works also where lido is installed globally, beside a Python project. */
const OWN_MODULE = { lido: fileURLToPath(new URL('../bundled/config-entry.cjs', import.meta.url)) };

/** Gives a config file its types: `export default defineConfig({ ... })`. */
export function defineConfig(settings: UserSettings & Hooks): UserSettings & Hooks {
  return settings;
}

/** What a config file holds: settings, and hooks where it is code. */
export interface ConfigFile extends Source {
  readonly hooks: HookSource;
}

/**
 * The config file of a directory, or null. Throws LIDO_CONFIG_AMBIGUOUS where there is more than one, LIDO_CONFIG_KIND_UNKNOWN
 * where all are of foreign kinds, LIDO_CONFIG_MISNAMED where there is none but a file that seems to be meant for one.
 */
export function findConfig(folder: string): string | null {
  const pick = (names: readonly string[]) => names.filter((name) => existsSync(join(folder, name)));
  const named = (endings: readonly string[]) => pick(endings.map((ending) => `lido.config.${ending}`));
  const found = named(ENDINGS);
  if (found.length > 1) throw new LidoError('LIDO_CONFIG_AMBIGUOUS', [found.join(' and ')]);
  if (found[0] !== undefined) return join(folder, found[0]);
  const [meant] = [...named(FOREIGN_ENDINGS), ...pick(MISNAMED)];
  if (meant === undefined) return null;
  const ending = extname(meant).slice(1);
  throw ENDINGS.includes(ending)
    ? new LidoError('LIDO_CONFIG_MISNAMED', [meant, ending])
    : describeForeign(meant);
}

function describeForeign(path: string): LidoError {
  return new LidoError('LIDO_CONFIG_KIND_UNKNOWN', [basename(path), `.${ENDINGS.join(', .')}`]);
}

/** Reads a config file. Throws one of the LIDO_CONFIG errors; LIDO_CONFIG_UNREADABLE has the line of what is wrong. */
export async function loadConfig(file: string): Promise<ConfigFile> {
  const path = resolve(file);
  if (!existsSync(path)) throw new LidoError('LIDO_CONFIG_NOT_FOUND', [path]);
  if (!ENDINGS.includes(extname(path).slice(1))) throw describeForeign(path);
  const values = await readConfig(path);
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw new LidoError('LIDO_CONFIG_NOT_OBJECT', [basename(path)]);
  // $schema is for editors.
  const { $schema: _, ...keys } = values as Record<string, unknown>;
  const text = readFileSync(path, 'utf8');
  const placeOf = (...within: readonly string[]) => {
    const line = locateKey(text, extname(path).slice(1), within);
    return line === null ? basename(path) : `${basename(path)}:${line}`;
  };
  const { hooks, rest, mistakes } = takeHooks(keys, placeOf);
  throwMistakes(mistakes);
  const isForProcesses = PROCESS_HOOKS.some((name) => hooks[name] !== undefined);
  return { origin: 'file', values: rest, placeOf, hooks: { hooks, file: isForProcesses ? path : null } };
}

async function readConfig(path: string): Promise<unknown> {
  try {
    if (extname(path) === '.json') return JSON.parse(readFileSync(path, 'utf8'));
    if (extname(path) === '.toml') {
      const { parse } = await import('smol-toml');
      return parse(readFileSync(path, 'utf8'));
    }
    return await importAnew(path);
  } catch (error) {
    const [message = ''] = (error instanceof Error ? error.message : String(error)).split(
      /\n\n|\nRequire stack/,
    );
    const text = message.replaceAll('\n', ' ').replace(new RegExp(`\\s+${escapePattern(path)}[:\\d]*`), '');
    throw new LidoError('LIDO_CONFIG_UNREADABLE', [locateError(error, path), text], { cause: error });
  }
}

/**
 * A reload wants the file as it is then, so it is no module of Node's, which would keep it. What it imports is forgotten again
 * as far as jiti transpiles it; ES modules beside it stay as they were imported first.
 */
async function importAnew(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(import.meta.url, { fsCache: false, alias: OWN_MODULE });
  const known = new Set(Object.keys(jiti.cache));
  try {
    const how = { filename: path, ext: extname(path), async: true, forceTranspile: true };
    const { default: values } = (await jiti.evalModule(readFileSync(path, 'utf8'), how)) as {
      default: unknown;
    };
    return values;
  } finally {
    for (const key of Object.keys(jiti.cache)) if (!known.has(key)) delete jiti.cache[key];
  }
}

/** "lido.config.json:2": where a file's syntax is wrong, or its code threw; the file alone where nobody knows. */
function locateError(error: unknown, path: string): string {
  const name = basename(path);
  const line = findLine(error, path);
  return line === null ? name : `${name}:${line}`;
}

function findLine(error: unknown, path: string): number | string | null {
  if (!(error instanceof Error)) return null;
  // A TomlError says where, as no other error does.
  if (extname(path) === '.toml' && 'line' in error && typeof error.line === 'number') return error.line;
  if (error instanceof SyntaxError && extname(path) === '.json')
    return findJsonLine(error, readFileSync(path, 'utf8'));
  return new RegExp(`${escapePattern(path)}:(\\d+)`).exec(`${error.message}\n${error.stack}`)?.[1] ?? null;
}

/** Node tells the position of some mistakes only; that of an unexpected token is found by cutting the text shorter. */
function findJsonLine({ message }: Error, text: string): number | null {
  const told = /at position (\d+)/.exec(message)?.[1];
  if (told !== undefined) return countLines(text.slice(0, Number(told)));
  if (!message.startsWith('Unexpected token')) return null;
  let [good, bad] = [0, text.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (hasUnexpectedToken(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return countLines(text.slice(0, bad));
}

function hasUnexpectedToken(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return error instanceof Error && error.message.startsWith('Unexpected token');
  }
}

function countLines(text: string): number {
  return text.split('\n').length;
}

function escapePattern(text: string): string {
  return text.replace(/[^\w$]/g, '\\$&');
}
