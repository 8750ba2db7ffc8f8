/** WebSockets at once, each of which says something as soon as it has heard what it said last. */
import { connect } from 'node:net';
import { describeLatencies } from './latencies.mjs';

const SAID = 'the same thirty-two bytes again.';
/** RFC 6455, section 5.2: a client's frame is masked, here with zeros, a server's is not. */
const FRAME = Buffer.concat([Buffer.from([0x81, 0x80 | SAID.length, 0, 0, 0, 0]), Buffer.from(SAID)]);
const ANSWER_LENGTH = 2 + SAID.length;
const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: 127.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

export default async function echo({ port, connections, seconds }) {
  const clients = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const latencies = [];
  let errors = 0;
  let isOver = false;
  const started = performance.now();
  for (const socket of clients) {
    let received = 0;
    let saidAt = performance.now();
    socket.on('data', (data) => {
      received += data.length;
      if (received < ANSWER_LENGTH) return;
      if (data.toString('latin1', data.length - SAID.length) !== SAID) errors += 1;
      received = 0;
      const now = performance.now();
      latencies.push(now - saidAt);
      saidAt = now;
      if (!isOver) socket.write(FRAME);
    });
    socket.on('error', () => {
      errors += 1;
    });
    socket.write(FRAME);
  }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  isOver = true;
  const passed = performance.now() - started;
  for (const socket of clients) socket.destroy();
  return describeLatencies(latencies, passed, errors);
}

/** Resolves with a connection on which the handshake is done; rejects where the server does not accept it. */
export function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${HANDSHAKE.join('\r\n')}\r\n\r\n`));
    socket.setNoDelay(true);
    let head = '';
    const take = (data) => {
      head += data.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', take).off('error', reject);
      if (head.startsWith('HTTP/1.1 101')) resolve(socket);
      else reject(new Error(`no WebSocket: ${head.slice(0, 100)}`));
    };
    socket.on('data', take).on('error', reject);
  });
}
