// Lido as on a Node.js that does not read accepted sockets into memory of one's own: what clients send comes by 'data'.
import { vi } from 'vitest';
import { sharedMemory } from '../../dist/src/http/wire/shared-memory.js';

/** Until mocks are restored. */
export function receivePackets(): void {
  vi.spyOn(sharedMemory, 'readInto').mockImplementation(() => {});
}
