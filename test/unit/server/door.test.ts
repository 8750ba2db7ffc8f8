// How many descriptors there may be is looked at again where they run out: an operator raises the limit of a process that runs.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Door } from '../../../dist/src/server/door.js';
import { createMemoryLog } from '../../support/server.js';

const SETTINGS = {
  maxConnections: 0,
  maxConnectionsPerAddress: 0,
  forwardedAllowIps: [],
  proxyProtocol: false,
  certfile: [],
};

it('lets in who comes once the limit has been raised', async () => {
  const refused: string[] = [];
  const options = {
    log: createMemoryLog().log,
    makeRoom: () => false,
    refused: ({ message }: Error) => refused.push(message.slice(0, 15)),
  };
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  const [socket] = (await once(listener, 'connection')) as [Socket];
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    listener.close();
    vi.restoreAllMocks();
  });
  // As it was; by now this process may have more.
  const door = new Door(SETTINGS, { most: 8, kept: 1 }, options);
  expect(door.admit(socket)).toBe(false);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 2000);
  expect(door.admit(socket)).toBe(true);
  expect(refused).toEqual(['7 of the 8 desc']);
  door.close();
});
