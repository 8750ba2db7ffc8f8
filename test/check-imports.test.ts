import { spawnSync } from 'node:child_process';
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
    'workers/python/cpython.ts': "import { claim } from '../../src/protocol.js';\n",
    'src/gate.ts':
      "import type { IncomingMessage } from 'node:http';\nimport { parseTarget } from './target.js';\n",
    'src/forwarded.ts': "import { BlockList, isIP } from 'node:net';\n",
    'src/pool.ts': "import { Piscina } from 'piscina';\n",
    'src/protocol.ts': "type Port = import('node:worker_threads').MessagePort;\n",
  });
  expect(checkImports(folder)).toEqual({ status: 0, stderr: '' });
});

it.each([
  ['workers/gateway.ts', "import { Session } from '../src/session.js';", 'workers/ imports from src/ only'],
  ['workers/gateway.ts', "const m = await import('../src/pool.js');", 'workers/ imports from src/ only'],
  ['src/pool.ts', "import serve from '../workers/main.js';", 'src/ imports nothing from workers/'],
  ['src/index.ts', "export { serve } from '../workers/main.js';", 'src/ imports nothing from workers/'],
  ['src/session.ts', "import {\n  Piscina,\n} from 'piscina';", 'only src/pool.ts may'],
  ['src/server.ts', "import type { FastifyInstance } from 'fastify';", 'only src/fastify.ts may'],
  ['workers/python/cpython.ts', "import koffi from 'koffi';", 'only workers/python/libpython.ts may'],
  ['src/gate.ts', "import { readFileSync } from 'node:fs';", 'a pure file imports types and other pure'],
  ['src/target.ts', "import 'node:http';", 'a pure file imports types and other pure'],
  [
    'src/forwarded.ts',
    "import { isIP, connect } from 'node:net';",
    'a pure file imports types and other pure',
  ],
  ['src/environ.ts', "import { log } from './log.js';", 'a pure file imports types and other pure'],
])('refuses in %s: %s', (file, line, breach) => {
  const { status, stderr } = checkImports(makeFolder({ [file]: `${line}\n` }));
  expect(stderr).toContain(`${file} imports `);
  expect(stderr).toContain(breach);
  expect(status).toBe(1);
});

it('does not take an empty tree for a good one', () => {
  expect(checkImports(makeFolder({})).status).toBe(1);
});
