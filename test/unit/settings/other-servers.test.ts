// test/other-servers/ lists every option that gunicorn, uvicorn, granian and uWSGI have; each gets an answer.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildMigrationTables, MIGRATION_PAGES } from '../../../dist/src/settings/migration.js';
import {
  findOtherNames,
  flatten,
  OTHER_SERVERS,
  otherNames,
  settingOf,
} from '../../../dist/src/settings/other-servers.js';

const OWN = ['--version', '--help'];

function readNames(server: string): string[] {
  const lines = readFileSync(`test/other-servers/${server}.txt`, 'utf8').trimEnd().split('\n');
  return lines.filter((line) => !line.startsWith('#') && !OWN.includes(line));
}

describe.each(OTHER_SERVERS)('every name of %s', (server) => {
  const names = readNames(server);

  it('has an answer', () => {
    expect(names.filter((name) => findOtherNames(name, server).length === 0)).toEqual([]);
  });

  it('that is in the table is one that it has', () => {
    const plain = names.map((name) => flatten(name.replace(/^--?/, '')));
    const rows = otherNames.filter(({ servers }) => servers.includes(server));
    const dead = rows.flatMap((row) =>
      row.names.filter((name) => {
        const own = flatten(name.replace('*', ''));
        return !plain.some((each) => (name.endsWith('*') ? each.startsWith(own) : each === own));
      }),
    );
    expect(dead).toEqual([]);
  });

  it('is on its page, with what Lido has for it: npm run docs', () => {
    const page = readFileSync(`docs/${MIGRATION_PAGES[server]}`, 'utf8');
    expect(page).toContain(buildMigrationTables(server));
  });
});

it('either has a setting or says why not', () => {
  expect(otherNames.filter((row) => settingOf(row) === null && row.text === '')).toEqual([]);
  // One name of Lido's own would make its setting that of all the others, and their text would be lost.
  const taken = otherNames.filter((row) => row.setting === null && settingOf(row) !== null);
  expect(taken.filter(({ names }) => names.length > 1)).toEqual([]);
});
