// Holds the layout true: who may import what. `node scripts/check-imports.mjs [ROOT]`; exit status 1 names each breach.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What workers/ may take from src/: the contracts, and nothing that belongs to the main thread. */
const SHARED_WITH_WORKERS = ['src/protocol.ts', 'src/wsgi.ts', 'src/errors.ts'];
/** Packages with a single place: whoever replaces or upgrades one has one file to read. */
const SOLE_IMPORTERS = {
  piscina: 'src/pool.ts',
  fastify: 'src/fastify.ts',
  koffi: 'workers/python/libpython.ts',
};
/** Files that compute and do nothing else; held to it as soon as they exist. */
const PURE_FILES = [
  'src/environ.ts',
  'src/gate.ts',
  'src/forwarded.ts',
  'src/protocol.ts',
  'src/dispatch-policy.ts',
  'src/target.ts',
];
/** What of Node's library a pure file may use: parsing and comparing, no I/O. */
const PURE_NAMES = { 'node:net': ['BlockList', 'SocketAddress', 'isIP', 'isIPv4', 'isIPv6'] };

const STATIC_IMPORT = /^\s*(?:import|export)\s+(?:(type)\s+)?([^'";]*?)\s*from\s*['"]([^'"]+)['"]/gm;
const BARE_IMPORT = /^\s*import\s*['"]([^'"]+)['"]/gm;
const CALLED_IMPORT = /\b(import|require)\s*\(\s*['"]([^'"]+)['"]\s*\)(\.[A-Z]\w*)?/g;

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)));
const files = ['src', 'workers', 'middleware'].flatMap((folder) => findSources(join(root, folder)));
const breaches = files.flatMap(checkFile);

if (files.length === 0) breaches.push(`no sources under ${root}`);
for (const breach of breaches) console.error(breach);
if (breaches.length > 0) process.exit(1);
console.log(`imports of ${files.length} files are as the layout wants them`);

function findSources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[mc]?[jt]s$/.test(name))
    .map((name) => relative(root, join(folder, name)));
}

function checkFile(file) {
  return readImports(file).flatMap((imported) =>
    [checkSide(file, imported), checkPackage(file, imported), checkPurity(file, imported)]
      .filter((breach) => breach !== null)
      .map((breach) => `${file} imports ${imported.from}: ${breach}`),
  );
}

function checkSide(file, { target }) {
  const fromWorkers = file.startsWith('workers/');
  if (file.startsWith('middleware/') && target.startsWith('src/') && target !== 'src/wsgi.ts')
    return 'middleware/ works under any server: it imports src/wsgi.ts and nothing else of Lido';
  if (!fromWorkers && target.startsWith('workers/')) return 'src/ imports nothing from workers/';
  if (fromWorkers && target.startsWith('src/') && !SHARED_WITH_WORKERS.includes(target))
    return `workers/ imports from src/ only ${SHARED_WITH_WORKERS.join(', ')}`;
  return null;
}

function checkPackage(file, { target }) {
  const sole = SOLE_IMPORTERS[target];
  return sole === undefined || sole === file ? null : `only ${sole} may`;
}

/** A type costs nothing at run time; a pure file may take it from anywhere. */
function checkPurity(file, { target, names, isType }) {
  if (!PURE_FILES.includes(file) || isType || PURE_FILES.includes(target)) return null;
  const allowed = PURE_NAMES[target] ?? [];
  const isHarmless = names.length > 0 && names.every((name) => allowed.includes(name));
  return isHarmless ? null : 'a pure file imports types and other pure files only';
}

function readImports(file) {
  const text = removeComments(readFileSync(join(root, file), 'utf8'));
  return [
    ...[...text.matchAll(STATIC_IMPORT)].map(([, type, clause, from]) => ({
      from,
      ...readClause(clause, type),
    })),
    ...[...text.matchAll(BARE_IMPORT)].map(([, from]) => ({ from, names: [], isType: false })),
    // import('module').Name stands for a type; import('module') is a call.
    ...[...text.matchAll(CALLED_IMPORT)].map(([, , from, name]) => ({
      from,
      names: [],
      isType: name !== undefined,
    })),
  ].map((imported) => ({ ...imported, target: locate(file, imported.from) }));
}

function readClause(clause, type) {
  const names = clause
    .replace(/[{}]/g, '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const values = names.filter((name) => !name.startsWith('type '));
  return { names: values, isType: type !== undefined || (names.length > 0 && values.length === 0) };
}

/** Where a specifier leads: a file seen from the root, or the package's name as it is. */
function locate(file, from) {
  if (from.startsWith('.'))
    return relative(root, resolve(root, dirname(file), from))
      .replace(/\.js$/, '.ts')
      .replace(/\.mjs$/, '.mts');
  if (from.startsWith('node:')) return from;
  return from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0];
}

function removeComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}
