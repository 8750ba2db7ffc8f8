// Makes a few files of the modules that the command, a process under it and a worker's thread load to begin: to read them one by
// one takes a sixth of the time to the first answer. They are CommonJS: to begin with a module takes Node.js 7 ms more in each thread,
// and each import of a part of Node.js fetches what that part has beside. What tsc made stays beside it: it is what programs import.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Entries by the folder that their bundle lies in. What is whose code is known by `src/` and `workers/` in its path. */
const BUNDLES = {
  src: { cli: 'src/cli', 'process-entry': 'src/process-entry', 'config-entry': 'src/config-entry' },
  workers: { main: 'workers/main', host: 'workers/python/host' },
};
const FOLDER = 'bundled';
/** Packages that require() cannot load without a warning on Node.js 20 are taken in; the others stay what was installed. */
const TAKEN_IN = /^(chokidar|readdirp|mime)$/;
/** Those that export something: one thing. */
const HAS_DEFAULT = ['workers/main'];

for (const [room, entries] of Object.entries(BUNDLES)) {
  await bundle(room, entries);
  for (const [name, entry] of Object.entries(entries)) replaceEntry(room, name, entry);
}

async function bundle(room, entries) {
  const input = Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => [name, `${root}${entry}.ts`]),
  );
  const build = await rolldown({
    input,
    platform: 'node',
    external: (id) => /^[^./]/.test(id) && !TAKEN_IN.test(id),
    resolve: { extensionAlias: { '.js': ['.ts'] } },
    plugins: [{ name: 'addresses', resolveId: leaveMiddleware, transform: keepAddress }],
  });
  const { output } = await build.write({
    dir: `${root}dist/${room}/${FOLDER}`,
    format: 'cjs',
    sourcemap: true,
    // V8 keeps the text of what it has loaded, in each thread.
    comments: { legal: true, annotation: false, jsdoc: false },
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
  });
  await build.close();
  keepLicences(`${root}dist/${room}/${FOLDER}`, output);
}

/** What is taken in is given away with Lido, so its licence goes along: MIT asks for the notice in all copies. */
function keepLicences(folder, output) {
  const paths = output.flatMap((file) => Object.keys(file.modules ?? {}));
  const packages = new Set(
    paths.flatMap((path) => /^.*\/node_modules\/((@[^/]+\/)?[^/]+)/.exec(path)?.[0] ?? []),
  );
  const texts = [...packages].sort().map((place) => {
    const { name, version } = JSON.parse(readFileSync(`${place}/package.json`, 'utf8'));
    return `${name} ${version}\n\n${readFileSync(`${place}/LICENSE`, 'utf8').trim()}\n`;
  });
  if (texts.length > 0) writeFileSync(`${folder}/LICENSES.txt`, texts.join('\n\n'));
}

/** What applications import is no part of the server. */
function leaveMiddleware(id) {
  return id.startsWith('../middleware/') ? { id: `../${id}`, external: true } : null;
}

/** A module finds the files beside it from where tsc puts it. */
function keepAddress(code, id) {
  if (!code.includes('import.meta.url')) return null;
  const place = relative(root, id).split(sep).join('/').replace(/ts$/, 'js');
  const address = `new URL('../../${place}', import.meta.url).href`;
  // Each line stays where it is.
  const mappings = `AAAA${';AACA'.repeat(code.split('\n').length - 1)}`;
  const map = { version: 3, names: [], sources: [id], sourcesContent: [code], mappings };
  return { code: code.replaceAll('import.meta.url', address), map };
}

/** The entry is where it was, and is the bundle's. */
function replaceEntry(room, name, entry) {
  const up = '../'.repeat(entry.split('/').length - 1);
  const file = `${up}${room}/${FOLDER}/${name}.cjs`;
  const names = HAS_DEFAULT.includes(entry) ? '{ default }' : '*';
  const place = `${root}dist/${entry}.js`;
  const [hashbang = ''] = readFileSync(place, 'utf8').match(/^#!.*\n/) ?? [];
  writeFileSync(place, `${hashbang}export ${names} from '${file}';\n`);
  rmSync(`${root}dist/${entry}.js.map`);
}
