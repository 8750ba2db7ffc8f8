// Writes what derives from the sources: docs/settings.md, schema/lido.config.schema.json, the tables of docs/errors.md and
// docs/from-*.md.
// Build first; `npm run docs` does.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const { buildSchema, buildSettingsPage } = await import('../dist/src/settings/schema.js');
const { buildMigrationTables, MIGRATION_PAGES } = await import('../dist/src/settings/migration.js');
const { catalogue, ERROR_GROUPS } = await import('../dist/src/contract/errors.js');
const root = new URL('../', import.meta.url);

mkdirSync(new URL('schema/', root), { recursive: true });
writeFileSync(new URL('schema/lido.config.schema.json', root), `${JSON.stringify(buildSchema(), null, 2)}\n`);
writeFileSync(new URL('docs/settings.md', root), buildSettingsPage());
updateTables('errors.md', ERROR_GROUPS.map(buildErrorTable).join('\n'));
for (const [server, page] of Object.entries(MIGRATION_PAGES))
  updateTables(page, buildMigrationTables(server));

/** Puts tables between the marks of a page. */
function updateTables(name, tables) {
  const page = new URL(`docs/${name}`, root);
  const text = readFileSync(page, 'utf8').replace(
    /(<!-- tables:.*-->\n)[\s\S]*(<!-- end of tables -->)/,
    (_, begin, end) => `${begin}\n${tables}\n${end}`,
  );
  writeFileSync(page, text);
}

function buildErrorTable(title) {
  const rows = Object.entries(catalogue)
    .filter(([, { group }]) => group === title)
    .map(([code, { message, remedy, status, exit }]) => {
      const answer = status === undefined ? (exit === undefined ? '' : `exit ${exit}`) : String(status);
      return `| ${[`\`${code}\``, message, answer, remedy].map(formatCell).join(' | ')} |`;
    });
  return `## ${title}\n\n| code | message | answer | what to do |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function formatCell(text) {
  return text.replaceAll('%s', '…').replaceAll('|', '\\|');
}
