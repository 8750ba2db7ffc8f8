/** Main thread. The package's version, read once from its package.json, which lies two levels above the compiled file. */
import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

export const VERSION: string = version;
