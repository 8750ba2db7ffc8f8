/** Many event streams at once, over sockets of our own: each tells of an event as it comes. */
import { connect } from 'node:net';

/** Connections that are opened at once: a listener's backlog holds so many. */
const AT_ONCE = 100;
/** How long one may take to begin. Milliseconds. */
const LIMIT_MS = 10_000;
const LF = 10;

/** Opens so many; resolves with their sockets once each has had its first event. `hear(n)` is told of n further events. */
export async function openStreams({ port, path, connections }, hear = () => {}) {
  const sockets = [];
  while (sockets.length < connections) {
    const more = Math.min(AT_ONCE, connections - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: more }, () => openStream(port, path, hear)))));
  }
  return sockets;
}

function openStream(port, path, hear) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(askFor('GET', path)));
    socket.setNoDelay(true);
    let last = 0;
    let isOpen = false;
    socket.on('data', (packet) => {
      let count = 0;
      // The framing has CR LF, so that two LF are an event's end and nothing else.
      for (const byte of packet) {
        if (byte === LF && last === LF) count += 1;
        last = byte;
      }
      if (count > 0 && isOpen) hear(count);
      else if (count > 0) {
        isOpen = true;
        socket.setTimeout(0);
        resolve(socket);
      }
    });
    socket.setTimeout(LIMIT_MS, () => reject(new Error(`${path} did not begin in ${LIMIT_MS / 1000} s`)));
    socket.on('error', reject).on('close', () => reject(new Error(`${path} ended`)));
  });
}

export const askFor = (method, path) =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}\r\n`;
