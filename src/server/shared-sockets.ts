/** Main thread of the supervisor. The listening sockets of all addresses, in the order in which these were named. */
import type { Socket } from 'node:net';
import { parseBind } from '../settings/address.js';
import type { ListeningHandle } from './listening.js';
import { SharedSocket, type SocketSettings } from './shared-socket.js';

export class SharedSockets {
  readonly #sockets: SharedSocket[] = [];

  /** Binds those addresses, save those that a predecessor has: `inherited` has their descriptors. Rejects with LIDO_CANNOT_LISTEN. */
  async open(
    binds: readonly string[],
    settings: SocketSettings,
    inherited: Readonly<Record<string, number>>,
  ): Promise<void> {
    for (const bind of binds)
      this.#sockets.push(await SharedSocket.bind(parseBind(bind), settings, inherited[bind]));
  }

  /** As the setting `bind` has them, with the ports that the system chose. */
  get binds(): readonly string[] {
    return this.#sockets.map(({ bind }) => bind);
  }

  /** As URLs. */
  get urls(): readonly string[] {
    return this.#sockets.map(({ url }) => url);
  }

  /** What a process can listen on by itself. */
  get handles(): readonly ListeningHandle[] {
    return this.#sockets.map(({ handle }) => handle);
  }

  /** Takes connections, each with the index of its address, to be given to a process. Rejects with LIDO_CANNOT_LISTEN. */
  async giveOut(take: (index: number, socket: Socket) => void): Promise<void> {
    for (const [index, shared] of this.#sockets.entries())
      await shared.giveOut((socket) => take(index, socket));
  }

  /** Ends them, unless somebody else has them too and goes on. */
  async close(isLast: boolean): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => (isLast ? socket.close() : socket.leave())));
  }
}
