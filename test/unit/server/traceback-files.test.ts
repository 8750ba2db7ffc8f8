import { expect, it } from 'vitest';
import { findFilesIn } from '../../../dist/src/server/development/traceback-files.js';

it.each([
  [
    'Python',
    '  File "/srv/shop/views.py", line 3, in <module>\n  File "<frozen importlib._bootstrap>", line 1',
    ['/srv/shop/views.py'],
  ],
  ['Python, within packages', '  File "/srv/.venv/lib/python3.11/site-packages/flask/app.py", line 3', []],
  [
    'Python, a module that is missing',
    "ModuleNotFoundError: No module named 'shop.new'",
    ['/here/shop/new.py', '/here/shop/new/__init__.py'],
  ],
  [
    'a stack',
    'Error: no\n    at file:///srv/a%20shop/app.mjs:3:7\n    at load (/srv/lib.cjs:1:1)\n    at node:internal/x:1',
    ['/srv/a shop/app.mjs', '/srv/lib.cjs'],
  ],
  ['a syntax error', 'file:///srv/app.mjs:2\nconst = ;', ['/srv/app.mjs']],
  [
    'a module that JavaScript misses',
    "Cannot find module '/srv/new.mjs' imported from /srv/app.mjs",
    ['/srv/new.mjs', '/srv/app.mjs'],
  ],
  ['a package', '    at /srv/node_modules/express/index.js:1:1', []],
])('finds the files in a traceback: %s', (_kind, text, files) => {
  expect(findFilesIn(text, '/here').sort()).toEqual([...files].sort());
});
