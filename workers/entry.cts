// Worker thread. What Piscina loads: main.js is a module, and must come by import().
//
// Piscina tries require() first. Node 20 ends the whole process when a worker is terminated in the middle of a
// require() of a module ("IsGraphAsync must be used on an instantiated module"); an import() is abandoned in peace.
import type { SessionStart } from '../src/contract/protocol.js' with { 'resolution-mode': 'import' };

async function serve(start: SessionStart): Promise<void> {
  const { default: serveSession } = await import('./main.js');
  await serveSession(start);
}

export = serve;
