// Worker thread. What Piscina loads: main.js is a module, and must come by import().
//
// Piscina tries require() first. Node 20 ends the whole process when a worker is terminated in the middle of a
// require() of a module ("IsGraphAsync must be used on an instantiated module"); an import() is abandoned in peace.
import type { SessionStart } from '../src/contract/protocol.js' with { 'resolution-mode': 'import' };

// Begun at once, while the main thread is not ready yet.
const main = import('./main.js');

async function serve(start: SessionStart): Promise<void> {
  const { default: serveSession } = await main;
  await serveSession(start);
}

export = serve;
