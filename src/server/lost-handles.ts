/**
 * Main thread. A socket that is sent to another process does not come there if that has no descriptor left. Node.js hears of it,
 * and drops the message that was to come with it without a word, where the socket stays open here.
 */
import type { ChildProcess } from 'node:child_process';

/** `lost` is told of each. They travel one at a time: it is the one whose message was made last. */
export function onLostHandle(channel: ChildProcess | NodeJS.Process, lost: () => void): void {
  // Node's types do not know the event.
  (channel as NodeJS.EventEmitter).on('internalMessage', (message: { readonly cmd?: unknown } | null) => {
    if (message?.cmd === 'NODE_HANDLE_NACK') lost();
  });
}
