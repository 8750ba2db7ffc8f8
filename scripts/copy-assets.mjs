// Copies the files that tsc leaves behind: the Python half of the gateway, and the status page.
import { cpSync } from 'node:fs';

for (const folder of ['workers/python/', 'src/observe/status-page/']) {
  cpSync(new URL(`../${folder}`, import.meta.url), new URL(`../dist/${folder}`, import.meta.url), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts') && !path.includes('__pycache__'),
  });
}
