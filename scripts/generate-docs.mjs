// Writes what derives from the table of settings: docs/settings.md and schema/lido.config.schema.json. Build first.
import { mkdirSync, writeFileSync } from 'node:fs';

const { buildSchema, buildSettingsPage } = await import('../dist/src/schema.js');
const root = new URL('../', import.meta.url);

mkdirSync(new URL('schema/', root), { recursive: true });
writeFileSync(new URL('schema/lido.config.schema.json', root), `${JSON.stringify(buildSchema(), null, 2)}\n`);
writeFileSync(new URL('docs/settings.md', root), buildSettingsPage());
