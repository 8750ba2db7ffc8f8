/** Main thread, of the supervisor where there is one. The admin listeners, and what they are answered from. */
import type { Log } from '../log.js';
import type { AdminServer } from '../observe/admin-server.js';
import { Hub, type HubOptions } from '../observe/hub.js';
import { isWatched } from '../observe/watched.js';
import { parseAdminAddress } from '../settings/address.js';
import type { Settings } from '../settings/resolve.js';
import { explainBindError, removeStaleSocket } from './bind.js';

export class Admin {
  readonly hub: Hub;
  readonly #settings: Settings;
  readonly #log: Log;
  #servers: AdminServer[] = [];

  /** `processes` are asked what they are at. */
  constructor(settings: Settings, log: Log, processes: Pick<HubOptions, 'refresh' | 'ask'>) {
    this.#settings = settings;
    this.#log = log;
    this.hub = new Hub({ ...processes, readyWaitMs: settings.readyWait * 1000 });
  }

  /** Where they listen, for the line that says what is served: '' where they do not. */
  describe(): string {
    return this.#servers.length === 0 ? '' : `, admin at ${this.addresses.join(', ')}`;
  }

  /** Where they listen, as URLs. */
  get addresses(): readonly string[] {
    return this.#servers.map(({ address }) => address);
  }

  /** Opens the listeners that are asked for. Rejects with LIDO_CANNOT_LISTEN, and has none open then. */
  async open(): Promise<void> {
    if (this.#settings.admin.length > 0) await this.#openServers();
    if (isWatched(this.#settings)) this.hub.start();
  }

  /** Only who asks for them pays for loading what answers there. */
  async #openServers(): Promise<void> {
    const { createAdminRoutes } = await import('../observe/admin-routes.js');
    const { AdminServer } = await import('../observe/admin-server.js');
    const { admin, adminHosts: hosts } = this.#settings;
    const routes = createAdminRoutes(this.hub);
    for (const text of admin) {
      const address = parseAdminAddress(text);
      await removeStaleSocket(address);
      const server = new AdminServer({ address, routes, hosts, log: this.#log });
      this.#servers.push(server);
      await server.listen().catch((error) => {
        throw explainBindError(error, address, '--admin');
      });
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.hub.stop();
    await Promise.all(this.#servers.map((server) => server.close()));
    this.#servers = [];
  }
}
