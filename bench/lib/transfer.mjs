/** One large body, down or up: bytes per second as a client sees them. The client counts bytes and keeps none. */
import { once } from 'node:events';
import { connect } from 'node:net';

const BLOCK = Buffer.alloc(64 * 1024, 'x');

export default async function transfer({ port, method, path, bytes, atLeast }) {
  const started = performance.now();
  const received = method === 'PUT' ? await sendBody(port, path, bytes) : await receiveBody(port, path);
  const seconds = (performance.now() - started) / 1000;
  const ok = method === 'PUT' ? received.endsWith(`\r\n\r\n${bytes}\n`) : received >= atLeast;
  // What was refused was not carried, however soon.
  return { requests: 1, rate: ok ? bytes / seconds / 1e6 : 0, seconds, errors: ok ? 0 : 1 };
}

/** Bytes of a whole answer, head included. */
async function receiveBody(port, path) {
  let bytes = 0;
  const countBytes = (count) => {
    bytes += count;
    return true;
  };
  const onread = { buffer: Buffer.alloc(1024 * 1024), callback: countBytes };
  const socket = connect({ port, host: '127.0.0.1', onread });
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  await once(socket, 'close');
  return bytes;
}

/** The whole answer to an upload, as text. */
async function sendBody(port, path, bytes) {
  let answer = '';
  const socket = connect(port, '127.0.0.1');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.setEncoding('latin1').on('data', (text) => {
    answer += text;
  });
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`,
  );
  for (let left = bytes; left > 0 && !socket.destroyed; left -= BLOCK.length) {
    const drained = socket.write(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK);
    if (!drained) await Promise.race([once(socket, 'drain').catch(() => {}), closed]);
  }
  await closed;
  return answer;
}
