import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { readOn, stopReading } from '../../../../dist/src/http/wire/stop-reading.js';

it('what comes after stopReading() stays in the kernel until readOn(), also where it was called amid what came before', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = async (): Promise<[Socket, Socket]> => {
    const client = connect(port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    onTestFinished(() => {
      client.destroy();
      socket.destroy();
    });
    return [client, socket];
  };
  onTestFinished(() => void server.close());
  const [client, socket] = await open();
  const heard: string[] = [];
  const first = new Promise<void>((resolve) => {
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard.push(text);
      if (heard.length === 1) expect(stopReading(socket)).toBe(true);
      resolve();
    });
  });
  client.write('first');
  await first;
  client.write('second');
  // Whatever came before these has been read by now, if it is read at all.
  for (let count = 0; count < 3; count += 1) {
    const [other, echo] = await open();
    echo.pipe(echo);
    other.write('x');
    await once(other, 'data');
  }
  expect([heard, socket.bytesRead]).toEqual([['first'], 5]);
  const second = once(socket, 'data');
  readOn(socket);
  await second;
  expect(heard).toEqual(['first', 'second']);
});
