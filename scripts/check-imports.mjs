// Holds the layout true: who may import what. `node scripts/check-imports.mjs [ROOT]`; exit status 1 names each breach.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The rooms of src/, from left to right: a file imports from its own room, or from one further left. Files directly in
 * src/ are the entries, which see every room, save those that are named here.
 */
const ROOMS = [
  ['src/contract/'],
  ['src/log-output.ts', 'src/time-zone.ts'],
  ['src/log.ts', 'src/version.ts', 'src/cgroup.ts', 'src/system-calls.ts'],
  ['src/settings/', 'src/python/'],
  ['src/http/'],
  ['src/dispatch/'],
  ['src/observe/'],
  ['src/application/'],
  ['src/server/'],
  ['src/'],
];
/** What workers/ may take from elsewhere: what both sides of a thread may see, and the validator that wraps applications. */
const SHARED_WITH_WORKERS = ['src/contract/', 'middleware/validator.ts'];
/** Packages with a place of their own: whoever replaces or upgrades one has that to read. */
const SOLE_IMPORTERS = {
  piscina: ['src/dispatch/piscina.ts'],
  fastify: ['src/fastify.ts'],
  // What makes WebSockets; the connection has their type.
  ws: ['src/http/websocket/opener.ts', 'src/http/websocket/connection.ts'],
  // libpython's functions, and the few system calls that Node lacks.
  koffi: ['workers/python/libpython.ts', 'src/system-calls.ts'],
};
/** Files that compute and do nothing else; held to it as soon as they exist. */
const PURE_FILES = [
  'src/http/environ.ts',
  'src/http/gate.ts',
  'src/http/grammar.ts',
  'src/http/forwarded.ts',
  'src/http/proxy-protocol.ts',
  'src/settings/access-format.ts',
  'src/settings/url-path.ts',
  'src/settings/address.ts',
  'src/settings/application-name.ts',
  'src/settings/check-source.ts',
  'src/settings/contradictions.ts',
  'src/settings/locate-key.ts',
  'src/settings/mistake.ts',
  'src/settings/migration.ts',
  'src/settings/mounts.ts',
  'src/settings/nearest.ts',
  'src/settings/other-servers.ts',
  'src/settings/parse-value.ts',
  'src/settings/schema.ts',
  'src/settings/table.ts',
  'src/settings/hooks.ts',
  'src/settings/trusted-proxies.ts',
  'src/contract/errors.ts',
  'src/contract/protocol.ts',
  'src/contract/ring.ts',
  'src/dispatch/policy.ts',
  'src/http/target.ts',
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
    [
      checkSide(file, imported),
      checkRoom(file, imported),
      checkPackage(file, imported),
      checkPurity(file, imported),
    ]
      .filter((breach) => breach !== null)
      .map((breach) => `${file} imports ${imported.from}: ${breach}`),
  );
}

function checkSide(file, { target }) {
  const fromWorkers = file.startsWith('workers/');
  if (file.startsWith('middleware/') && target.startsWith('src/') && target !== 'src/contract/wsgi.ts')
    return 'middleware/ works under any server: it imports src/contract/wsgi.ts and nothing else of Lido';
  if (!fromWorkers && target.startsWith('workers/')) return 'src/ imports nothing from workers/';
  const isOutside = /^(src|middleware)\//.test(target);
  if (fromWorkers && isOutside && !SHARED_WITH_WORKERS.some((place) => target.startsWith(place)))
    return `workers/ imports from elsewhere only ${SHARED_WITH_WORKERS.join(' and ')}`;
  return null;
}

/** A room knows nothing of the rooms to its right, nor of the one beside it on the same floor. Types count, too. */
function checkRoom(file, { target }) {
  const [from, to] = [findRoom(file), findRoom(target)];
  if (from === null || to === null || from.place === to.place || to.floor < from.floor) return null;
  return `${from.place} sees only the rooms to its left, and ${to.place} is not one of them`;
}

function findRoom(file) {
  const floor = ROOMS.findIndex((places) => places.some((place) => file.startsWith(place)));
  if (floor < 0) return null;
  return { floor, place: ROOMS[floor].find((place) => file.startsWith(place)) };
}

function checkPackage(file, { target }) {
  const sole = SOLE_IMPORTERS[target];
  return sole === undefined || sole.includes(file) ? null : `only ${sole.join(' and ')} may`;
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
