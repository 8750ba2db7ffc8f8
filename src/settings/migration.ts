/** Main thread. What is on docs/from-*.md of the table of other servers' names. Pure. */
import { type OtherName, type OtherServer, otherNames, settingOf } from './other-servers.js';

export const MIGRATION_PAGES: Readonly<Record<OtherServer, string>> = {
  gunicorn: 'from-gunicorn.md',
  uvicorn: 'from-uvicorn.md',
  granian: 'from-granian.md',
  uwsgi: 'from-uwsgi.md',
};

/** Two tables: what has a setting here, and what stands for the rest. */
export function buildMigrationTables(server: OtherServer): string {
  const rows = otherNames.filter(({ servers }) => servers.includes(server));
  const kept = rows.filter((row) => settingOf(row) !== null);
  const absent = rows.filter((row) => settingOf(row) === null);
  return `## What is called differently

| ${server} | Lido | what differs |
| --- | --- | --- |
${kept.map((row) => `| ${showNames(row)} | \`${settingOf(row)}\` | ${row.setting === null ? '' : escapeCell(row.text)} |`).join('\n')}

## What is not there, and what does it instead

| ${server} | |
| --- | --- |
${absent.map((row) => `| ${showNames(row)} | ${escapeCell(row.text)} |`).join('\n')}
`;
}

function showNames({ names }: OtherName): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('$', '\\$');
}
