/**
 * Many clients at once, each asking again as soon as it was answered: how many never got an answer in the window.
 * A client whose connection the server closes connects again and is still the same client.
 */
import { connect } from 'node:net';

export default async function starve({ port, path, connections, seconds }) {
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
  const answers = new Array(connections).fill(0);
  const sockets = new Map();
  let open = true;
  let errors = 0;

  function start(client) {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    let received = '';
    sockets.set(client, socket);
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      received += text;
      const length = answerLength(received);
      if (length === null || received.length < length) return;
      received = received.slice(length);
      answers[client]++;
      if (open) socket.write(request);
    });
    socket.on('error', () => errors++);
    socket.on('close', () => open && setImmediate(start, client));
  }

  const started = performance.now();
  for (let client = 0; client < connections; client++) start(client);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  open = false;
  for (const socket of sockets.values()) socket.destroy();
  const requests = answers.reduce((sum, count) => sum + count, 0);
  return {
    requests,
    rate: (requests * 1000) / (performance.now() - started),
    neverServed: answers.filter((count) => count === 0).length,
    errors,
  };
}

/** Bytes of head and body of the first answer in the text, or null when its head is not whole yet. */
function answerLength(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  return end + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
}
