import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeFolder } from './support/command.js';
import { root } from './support/server.js';

function checkImports(folder: string): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [`${root}scripts/check-imports.mjs`, folder], {
    encoding: 'utf8',
  });
  return { status, stderr };
}

it('finds the imports of the sources as the layout wants them', () => {
  expect(checkImports(root)).toEqual({ status: 0, stderr: '' });
});

it('allows a worker the contracts, and a pure file types and other pure files', () => {
  const folder = makeFolder({
    'workers/python/cpython.ts': "import { claim } from '../../src/contract/protocol.js';\n",
    'src/http/gate.ts':
      "import type { IncomingMessage } from 'node:http';\nimport { parseTarget } from './target.js';\n",
    'src/http/forwarded.ts': "import { BlockList, isIP } from 'node:net';\n",
    'src/dispatch/piscina.ts': "import { Piscina } from 'piscina';\n",
    'src/contract/protocol.ts': "type Port = import('node:worker_threads').MessagePort;\n",
  });
  expect(checkImports(folder)).toEqual({ status: 0, stderr: '' });
});

it.each([
  [
    'workers/javascript/gateway.ts',
    "import { Session } from '../../src/dispatch/session.js';",
    'workers/ imports from elsewhere only',
  ],
  [
    'workers/javascript/gateway.ts',
    "const m = await import('../../src/dispatch/pool.js');",
    'workers/ imports from elsewhere only',
  ],
  [
    'src/dispatch/piscina.ts',
    "import serve from '../../workers/main.js';",
    'src/ imports nothing from workers/',
  ],
  ['src/index.ts', "export { serve } from '../workers/main.js';", 'src/ imports nothing from workers/'],
  ['src/dispatch/session.ts', "import {\n  Piscina,\n} from 'piscina';", 'only src/dispatch/piscina.ts may'],
  ['src/server/server.ts', "import type { FastifyInstance } from 'fastify';", 'only src/fastify.ts may'],
  [
    'workers/python/cpython.ts',
    "import koffi from 'koffi';",
    'only workers/python/libpython.ts and src/system-calls.ts may',
  ],
  ['src/http/gate.ts', "import { readFileSync } from 'node:fs';", 'a pure file imports types and other pure'],
  ['src/http/target.ts', "import 'node:http';", 'a pure file imports types and other pure'],
  [
    'src/http/forwarded.ts',
    "import { isIP, connect } from 'node:net';",
    'a pure file imports types and other pure',
  ],
  [
    'src/http/gate.ts',
    "import type { Session } from '../dispatch/session.js';",
    'sees only the rooms to its left',
  ],
  [
    'src/settings/table.ts',
    "import { findPython } from '../python/find.js';",
    'sees only the rooms to its left',
  ],
  ['src/log.ts', "import type { Settings } from './settings/table.js';", 'sees only the rooms to its left'],
  ['src/server/server.ts', "import { lido } from '../fastify.js';", 'sees only the rooms to its left'],
  ['src/http/environ.ts', "import { log } from '../log.js';", 'a pure file imports types and other pure'],
])('refuses in %s: %s', (file, line, breach) => {
  const { status, stderr } = checkImports(makeFolder({ [file]: `${line}\n` }));
  expect(stderr).toContain(`${file} imports `);
  expect(stderr).toContain(breach);
  expect(status).toBe(1);
});

it('holds the same rooms as the plan of the house', () => {
  const script = readFileSync(`${root}scripts/check-imports.mjs`, 'utf8');
  const [, rooms = ''] = /const ROOMS = \[([\s\S]*?)\n\];/.exec(script) ?? [];
  const places = [...rooms.matchAll(/'(src\/[^']*)'/g)].map(([, place]) => place);
  expect(places.length).toBeGreaterThan(8);
  const plan = readFileSync(`${root}docs/architecture.md`, 'utf8');
  const rows = [...plan.matchAll(/^\| (`(?:src|workers|middleware).*?) \|/gm)].map(([, cell]) => cell).join();
  for (const place of places) expect(rows).toContain(`\`${place}\``);
});

it('does not take an empty tree for a good one', () => {
  expect(checkImports(makeFolder({})).status).toBe(1);
});
