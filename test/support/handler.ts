// An application behind node:http, on a free port, closed after the test.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { createHandler, type HandlerOptions } from '../../dist/src/index.js';

/** Resolves with the port. One thread, unless the options say otherwise. */
export async function serveByNode(options: HandlerOptions): Promise<number> {
  const handler = await createHandler({ threads: 1, ...options });
  const server = createServer(handler).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await handler.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as AddressInfo).port;
}
