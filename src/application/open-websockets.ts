/** Main thread. WebSockets as an application's settings want them. */
import type { Budget } from '../http/budget.js';
import type { WebSockets } from '../http/websocket/websockets.js';
import type { Settings } from '../settings/resolve.js';

/** What speaks them is loaded where an application has some, and takes no memory elsewhere. */
export async function openWebSockets(settings: Settings, budget: Budget): Promise<WebSockets> {
  const { WebSockets: Opened } = await import('../http/websocket/websockets.js');
  return new Opened({
    origins: settings.websocketOrigins,
    maxMessage: settings.websocketMaxMessage,
    deflate: settings.websocketDeflate,
    pingIntervalMs: settings.websocketPingInterval * 1000,
    pingTimeoutMs: settings.websocketPingTimeout * 1000,
    sendTimeoutMs: settings.sendTimeout * 1000,
    budget,
  });
}
