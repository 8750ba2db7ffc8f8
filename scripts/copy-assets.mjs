// Copies the files that tsc leaves behind: the Python half of the gateway.
import { cpSync } from 'node:fs';

const source = new URL('../workers/python/', import.meta.url);
const target = new URL('../dist/workers/python/', import.meta.url);

cpSync(source, target, {
  recursive: true,
  filter: (path) => !path.endsWith('.ts') && !path.includes('__pycache__'),
});
