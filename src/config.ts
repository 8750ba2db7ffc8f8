/** Main thread. The config file: found, and read in the format that its name tells. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { createJiti } from 'jiti';
import { parse as parseToml } from 'smol-toml';
import { LidoError } from './errors.js';
import type { Source, UserSettings } from './options.js';

const ENDINGS = ['ts', 'mts', 'js', 'mjs', 'json', 'toml'];

/** Gives a config file its types: `export default defineConfig({ ... })`. */
export function defineConfig(settings: UserSettings): UserSettings {
  return settings;
}

/** The config file of a directory, or null. Throws LIDO_102 where there is more than one. */
export function findConfig(folder: string): string | null {
  const found = ENDINGS.map((ending) => join(folder, `lido.config.${ending}`)).filter((path) =>
    existsSync(path),
  );
  if (found.length > 1) {
    throw new LidoError('LIDO_102', [
      'config',
      `both ${found.map((path) => basename(path)).join(' and ')} are here: keep one, or name it with --config`,
    ]);
  }
  return found[0] ?? null;
}

/** Reads a config file. Throws LIDO_102 with the place of a mistake in its syntax. */
export async function loadConfig(file: string): Promise<Source> {
  const path = resolve(file);
  if (!existsSync(path)) throw new LidoError('LIDO_102', ['--config', `no file ${path}`]);
  if (!ENDINGS.includes(extname(path).slice(1))) {
    throw new LidoError('LIDO_102', ['--config', `${file} is none of .${ENDINGS.join(', .')}`]);
  }
  const values = await readConfig(path);
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new LidoError('LIDO_102', [
      file,
      'a config file holds one object with settings; a module exports it as its default',
    ]);
  }
  // $schema is for editors.
  const { $schema: _, ...rest } = values as Record<string, unknown>;
  const lines = readFileSync(path, 'utf8').split('\n');
  return { origin: 'file', values: rest, placeOf: (key) => locateKey(basename(path), lines, key) };
}

async function readConfig(path: string): Promise<unknown> {
  try {
    if (extname(path) === '.json') return JSON.parse(readFileSync(path, 'utf8'));
    if (extname(path) === '.toml') return parseToml(readFileSync(path, 'utf8'));
    return await createJiti(import.meta.url, { fsCache: false }).import(path, { default: true });
  } catch (error) {
    const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n\n');
    throw new LidoError('LIDO_102', [path, message.replaceAll('\n', ' ')], { cause: error });
  }
}

/** "lido.config.toml:3": the first line that gives the key a value. The file alone where a program made the key. */
function locateKey(name: string, lines: readonly string[], key: string): string {
  const escaped = key.replace(/[^\w$]/g, '\\$&');
  const pattern = new RegExp(`(^|[{,])\\s*(["']?)${escaped}\\2\\s*[:=]`);
  const index = lines.findIndex((line) => pattern.test(line));
  return index < 0 ? name : `${name}:${index + 1}`;
}
