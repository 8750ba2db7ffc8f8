// Compiled code is kept beside the sources as under any Python, save of what was saved a moment ago.
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder, runLido } from './support/command.js';
import { venv } from './support/server.js';

const HOUR_S = 3600;

it('is kept of what was saved before, and of what an archive brought from another time zone', async () => {
  const cwd = makeFolder({
    'shop.py': 'import ahead, fresh, old\nfrom wsgiref.simple_server import demo_app as app\n',
    'ahead.py': '',
    'fresh.py': '',
    'old.py': '',
  });
  const now = Date.now() / 1000;
  utimesSync(join(cwd, 'ahead.py'), now, now + 2 * HOUR_S);
  utimesSync(join(cwd, 'old.py'), now, now - HOUR_S);
  // Ahead by less than clocks of two machines differ, so that it is fresh however long the start takes.
  utimesSync(join(cwd, 'fresh.py'), now, now + 300);
  const words = ['call', '--python', venv, 'shop.py', '/'];
  expect(await runLido(words, { cwd, env: { PYTHONDONTWRITEBYTECODE: '' } })).toMatchObject({ code: 0 });
  const kept = readdirSync(join(cwd, '__pycache__')).map((name) => name.split('.')[0]);
  expect(kept.filter((name) => name !== 'shop').sort()).toEqual(['ahead', 'old']);
});
