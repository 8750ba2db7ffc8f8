/** Where things are. */
import { fileURLToPath } from 'node:url';

const at = (relative) => fileURLToPath(new URL(relative, import.meta.url));

export const root = at('../..');
export const bench = at('..');
export const results = at('../results');
export const venv = at('../.venv');
export const javascriptApps = at('../apps/javascript');
export const pythonApps = at('../apps/python');
/** LIDO_CLI names another build, to be measured by the same bench. */
export const lidoCommand = process.env.LIDO_CLI ?? at('../../dist/src/bundled/cli.cjs');
export const docs = at('../../docs');
