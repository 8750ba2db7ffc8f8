import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { suggestSetting } from '../dist/src/settings/resolve.js';
import { flagOf, settingNames, settings } from '../dist/src/settings/table.js';

interface Row {
  readonly theirs: readonly string[];
  readonly ours: string;
}

/** The rows of a page's table: their names, and the setting of Lido's that stands beside them. */
function readRows(page: string): Row[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(/^\| (`.*?`) \| `(\w+)` \|/gm)].map(([, names = '', ours = '']) => ({
    theirs: [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
    ours,
  }));
}

describe.each([
  ['docs/from-gunicorn.md', 21],
  ['docs/from-uwsgi.md', 15],
])('%s', (page, count) => {
  it('names settings that exist, and the command answers the same when it meets the other name', () => {
    const rows = readRows(page);
    expect(rows).toHaveLength(count);
    for (const { theirs, ours } of rows) {
      expect(settingNames).toContain(ours);
      for (const name of theirs) expect([name, suggestSetting(name)]).toEqual([name, ours]);
    }
  });

  it('calls nothing missing that is there', () => {
    const missing = readFileSync(page, 'utf8').split('## What is not there')[1]?.split('\n## ')[0] ?? '';
    const heads = missing.split('\n- ').map((item) => item.split(':')[0]);
    const named = [...heads.join().matchAll(/`(\w[\w-]*)`/g)].map(([, name = '']) => name.toLowerCase());
    const flatNames = settingNames.map((name) => name.toLowerCase());
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => flatNames.includes(name.replace(/[-_]/g, '')))).toEqual([]);
  });
});

describe('README.md', () => {
  it('shows flags that exist, with their defaults', () => {
    const rows = [...readFileSync('README.md', 'utf8').matchAll(/^\| `(--[\w-]+)` \| (.*?) \|/gm)];
    expect(rows.length).toBeGreaterThan(8);
    for (const [, flag, shown = ''] of rows) {
      const name = settingNames.find((candidate) => flagOf(candidate) === flag);
      expect([flag, name]).not.toEqual([flag, undefined]);
      const value: unknown = settings[name as (typeof settingNames)[number]].default;
      if (typeof value === 'number') expect([flag, shown]).toEqual([flag, String(value)]);
      if (typeof value === 'string' && value !== 'auto')
        expect([flag, shown]).toEqual([flag, `\`${value}\``]);
    }
  });
});
