/** Event streams at once: something is published as soon as everybody has heard of what was published last. */
import { connect } from 'node:net';
import { describeLatencies } from './latencies.mjs';
import { askFor, openStreams } from './streams.mjs';

export default async function fanOut({ port, connections, seconds }) {
  const latencies = [];
  let missing = 0;
  let publishedAt = 0;
  let isOver = false;
  const publisher = connect(port, '127.0.0.1').resume();
  publisher.setNoDelay(true);
  const publish = () => {
    missing = connections;
    publishedAt = performance.now();
    publisher.write(askFor('POST', '/publish'));
  };
  const sockets = await openStreams({ port, path: '/events', connections }, (count) => {
    latencies.push(performance.now() - publishedAt);
    missing -= count;
    if (missing === 0 && !isOver) publish();
  });
  const started = performance.now();
  publish();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  isOver = true;
  const passed = performance.now() - started;
  for (const socket of [publisher, ...sockets]) socket.removeAllListeners('close').destroy();
  return describeLatencies(latencies, passed, missing < 0 ? -missing : 0);
}
