import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { root } from './support/server.js';

const SERVE = `
async function main({ createServer, createHandler }, plugin) {
  const server = createServer({ application: 'hello.mjs', bind: ['127.0.0.1:0'], threads: 1, logLevel: 'silent' });
  await server.listen();
  const text = await (await fetch(server.addresses[0])).text();
  await server.close();
  console.log(text, typeof createHandler, typeof plugin);
}`;

const FILES = {
  'package.json': '{ "private": true }',
  'hello.mjs': `export function application(environ, start) { start('200 OK', []); return ['packed']; }`,
  'use.mjs': `import * as lido from 'lido';\nimport plugin from 'lido/fastify';\n${SERVE}\nawait main(lido, plugin);\n`,
  'use.cjs': `${SERVE}\nmain(require('lido'), require('lido/fastify').default);\n`,
  'use.mts': `import { createHandler, createServer, defineConfig, type Application } from 'lido';
const application: Application = (environ, startResponse) => {
  const language: string = environ.HTTP_ACCEPT_LANGUAGE ?? environ['HTTP_X_LANGUAGE'] ?? 'en';
  startResponse('200 OK', []);
  return [language];
};
void application;
createHandler({ application: 'a.js', threads: 1 });
// @ts-expect-error a number is wanted
createHandler({ application: 'a.js', threads: '1' });
// @ts-expect-error no such setting
createServer({ application: 'a.js', thread: 1 });
// @ts-expect-error a mount names its application
defineConfig({ mounts: { '/': { threads: 1 } } });
`,
};

/** A debugger would look for sources that are not in the package. */
function listMapsWithoutSources(folder: string): string[] {
  const maps = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.map'),
  );
  expect(maps.length).toBeGreaterThan(50);
  return maps.filter((name) => {
    const map = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      sourcesContent?: readonly string[];
    };
    return !map.sourcesContent?.every((source) => source.length > 0);
  });
}

/** Licences of the packages whose code lies in the files of a folder, by what their maps say. */
function listLicences(folder: string): string[] {
  const maps = readdirSync(folder).filter((name) => name.endsWith('.map'));
  const packages = maps.flatMap((name) => {
    const { sources } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      sources: readonly string[];
    };
    return sources.flatMap((source) => /node_modules\/(?:@[^/]+\/)?[^/]+/.exec(source)?.[0] ?? []);
  });
  return [...new Set(packages)].map((place) => readFileSync(join(root, place, 'LICENSE'), 'utf8').trim());
}

it('has the licence of each package whose code it brings along', () => {
  const folder = join(root, 'dist/src/bundled');
  const licences = listLicences(folder);
  expect(licences.length).toBeGreaterThan(0);
  const kept = readFileSync(join(folder, 'LICENSES.txt'), 'utf8');
  for (const licence of licences) expect(kept).toContain(licence);
  expect(listLicences(join(root, 'dist/workers/bundled'))).toEqual([]);
});

it('packed and installed in an empty folder works from ESM, from CommonJS and from TypeScript', () => {
  const folder = makeFolder(FILES);
  const run = (command: string, args: readonly string[], cwd = folder) =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const options = ['--prefer-offline', '--no-audit', '--no-fund'];
  // What `prepare` would build is built already, and is what the other tests use.
  const packed = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  run('npm', ['install', ...options, join(folder, filename), '@types/node@20']);

  expect(listMapsWithoutSources(join(folder, 'node_modules/lido'))).toEqual([]);
  expect(run(process.execPath, ['use.mjs'])).toBe('packed function function\n');
  const warnings = '--disable-warning=ExperimentalWarning';
  expect(run(process.execPath, [warnings, 'use.cjs'])).toBe('packed function function\n');
  expect(run('npx', ['--no-install', 'lido', '--version'])).toMatch(/^\d+\.\d+\.\d+\n$/);
  const flags = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--module',
    'nodenext',
    '--types',
    'node',
    'use.mts',
  ];
  const checked = spawnSync(`${root}node_modules/.bin/tsc`, flags, { cwd: folder, encoding: 'utf8' });
  expect([checked.stdout, checked.status]).toEqual(['', 0]);
}, 120_000);

it('asks Yarn to unpack it: its workers, and libpython through koffi, are loaded from files', () => {
  const { preferUnplugged } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    preferUnplugged?: boolean;
  };
  expect(preferUnplugged).toBe(true);
});
