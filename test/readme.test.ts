import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { flagOf, settingNames, settings } from '../dist/src/settings/table.js';

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
