import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { sharedMemory } from '../../../../dist/src/http/wire/shared-memory.js';

async function connectTwo(): Promise<{ client: Socket; socket: Socket; heard: string[] }> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
  });
  const heard: string[] = [];
  socket.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  return { client, socket, heard };
}

/** Sends it, and resolves with what is taken instead of being heard. */
async function send(client: Socket, socket: Socket, text: string): Promise<Buffer> {
  const taken = new Promise<Buffer>((resolve) => sharedMemory.readInto(socket, resolve));
  client.write(text);
  return await taken;
}

/** As on a release that has none. */
function hideUserBuffer(socket: Socket): void {
  const { _handle: handle } = socket as Socket & { readonly _handle: object };
  Object.defineProperty(handle, 'useUserBuffer', { value: undefined });
}

it('all sockets are read into the same memory, of which own() copies what is to stay', async () => {
  const [one, two] = [await connectTwo(), await connectTwo()];
  const first = await send(one.client, one.socket, 'first');
  const copy = sharedMemory.own(first);
  expect([sharedMemory.own(copy) === copy, copy.buffer.byteLength]).toEqual([true, 5]);
  const second = await send(two.client, two.socket, 'other');
  expect([first.toString(), second.toString(), copy.toString()]).toEqual(['other', 'other', 'first']);
  expect([one.heard, two.heard]).toEqual([[], []]);
});

it('who takes a socket over hears of what comes as on any other, and may hold it', async () => {
  const { client, socket, heard } = await connectTwo();
  await send(client, socket, 'before');
  sharedMemory.leave(socket);
  client.write('after');
  await once(socket, 'data');
  socket.pause();
  const [resumed] = [once(socket, 'data')];
  client.write('held');
  const other = await connectTwo();
  await send(other.client, other.socket, 'other');
  expect([heard, socket.readableLength]).toEqual([['after'], 0]);
  socket.resume();
  await resumed;
  expect(heard).toEqual(['after', 'held']);
});

it('where Node.js has no such memory, nothing changes', async () => {
  const { client, socket, heard } = await connectTwo();
  hideUserBuffer(socket);
  const taken: Buffer[] = [];
  sharedMemory.readInto(socket, (bytes) => taken.push(bytes));
  sharedMemory.leave(socket);
  client.write('as ever');
  await once(socket, 'data');
  expect([heard, taken]).toEqual([['as ever'], []]);
});
