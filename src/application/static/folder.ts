/** Main thread. A path below a folder ► the file that is served for it, with what its answers say of it. */
import type { Stats } from 'node:fs';
import { open, readFile, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import mime from 'mime';

export interface FolderRules {
  /** An existing folder, by its real name. */
  readonly folder: string;
  /** Whether symbolic links below the folder are followed, wherever they lead. */
  readonly links: boolean;
}

/** A regular file as it was when it was looked at. */
export interface StaticFile {
  readonly path: string;
  readonly stats: Stats;
  /** Of the plain file, whichever coding this one has. */
  readonly type: string;
  /** What it was compressed with beforehand; null for the plain file. */
  readonly coding: Coding | null;
  /** The whole content of a small file; null for a large one, which is read each time. */
  readonly content: Buffer | null;
}

/** The plain file first, and those that lie compressed beside it. */
export type Variants = readonly [StaticFile, ...StaticFile[]];

export type Coding = 'br' | 'zstd' | 'gzip';

const ENDINGS: readonly (readonly [Coding, string])[] = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
];

/** Files up to this size are kept in memory: reading one costs more than sending it. Bytes. */
export const SMALL_FILE = 64 * 1024;

/** Looks for the file of a decoded path such as "/css/site.css"; null where there is none that may be served. */
export async function findFile(rules: FolderRules, path: string): Promise<Variants | null> {
  const names = readNames(path);
  if (names === null) return null;
  const plain = await look(rules, join(rules.folder, ...names), null);
  if (plain === null) return null;
  const others = await Promise.all(ENDINGS.map(([coding]) => look(rules, plain.path, coding)));
  return [plain, ...others.filter((file) => file !== null)];
}

/** The names on the way to the file; null for what no file below the folder is called, and for what is hidden by a dot. */
function readNames(path: string): readonly string[] | null {
  const names = path.split('/').filter((name) => name !== '');
  const isRefused = (name: string) => name.startsWith('.') || /[\0\\]/.test(name);
  return path.endsWith('/') || names.some(isRefused) ? null : names;
}

async function look(rules: FolderRules, path: string, coding: Coding | null): Promise<StaticFile | null> {
  const ending = ENDINGS.find(([name]) => name === coding)?.[1] ?? '';
  const file = path + ending;
  try {
    // A link is another name for something else: where none may be followed, the real name is the one that was asked for.
    if (!rules.links && (await realpath(file)) !== file) return null;
    return await readFacts(file, nameType(path), coding);
  } catch {
    return null;
  }
}

/** What there is to say of a regular file, and what it holds where that is little; null for anything else. Rejects where it cannot be read. */
export async function readFacts(
  path: string,
  type: string,
  coding: Coding | null,
): Promise<StaticFile | null> {
  const stats = await stat(path);
  if (!stats.isFile()) return null;
  const content = stats.size <= SMALL_FILE ? await readFile(path) : await checkReadable(path);
  // What grew in between is looked at again the next time.
  if (content !== null && content.length !== stats.size) return null;
  return { path, stats, type, coding, content };
}

async function checkReadable(file: string): Promise<null> {
  await (await open(file)).close();
  return null;
}

/** Text is UTF-8, as lido/static has it. */
export function nameType(path: string): string {
  const type = mime.getType(extname(path)) ?? 'application/octet-stream';
  return /^text\/|^application\/(json|javascript)$|\+(json|xml)$/.test(type)
    ? `${type}; charset=utf-8`
    : type;
}

/** A folder's real name, so that links above it do not count as links below it. Rejects where there is no such folder. */
export async function resolveFolder(folder: string): Promise<string> {
  const path = await realpath(folder);
  if (!(await stat(path)).isDirectory()) throw new Error('it is no folder');
  return path;
}
