/** Main thread. The package's version, read once from its package.json. */
import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('lido/package.json') as { version: string };

export const VERSION: string = version;
