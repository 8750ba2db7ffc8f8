/** Main thread. One value of an environ on the wire (see KEYS_END in protocol.ts). Pure. */
import { KEYS_END } from '../contract/protocol.js';

export function findInEnviron(wire: string, key: string): string | undefined {
  const end = wire.indexOf(KEYS_END);
  if (end < 0) return undefined;
  const place = wire.slice(0, end).split('\0').indexOf(key);
  return place < 0 ? undefined : wire.slice(end + KEYS_END.length).split('\0')[place];
}
