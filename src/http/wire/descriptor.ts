/** Main thread. The descriptor of a connection, which Node keeps to itself. */
import type { Socket } from 'node:net';

/** -1 where there is none, or it is not known. */
export function descriptorOf(socket: Socket): number {
  return (socket as Socket & { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
}
