/** Clients that stay and say nothing: what each of them takes of the server's memory, and how often that wakes up for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { open as openWebSocket } from './echo.mjs';
import { countSwitches, readRss } from './processes.mjs';
import { openStreams } from './streams.mjs';

const SETTLE_SECONDS = 1;

/** `what`: 'streams' or 'webSockets'. */
export default async function hold({ port, pid, what, connections, seconds }) {
  const before = readRss(pid);
  const sockets = await (what === 'streams'
    ? openStreams({ port, path: '/events', connections })
    : openAll(port, connections));
  await sleep(SETTLE_SECONDS * 1000);
  const switches = countSwitches(pid);
  await sleep(seconds * 1000);
  const bytesEach = (readRss(pid) - before) / connections;
  const wakeups = (countSwitches(pid) - switches) / seconds;
  const lost = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
  for (const socket of sockets) socket.removeAllListeners('close').destroy();
  return { requests: connections, bytesEach, wakeups, errors: lost };
}

async function openAll(port, connections) {
  const sockets = [];
  while (sockets.length < connections) sockets.push(await openWebSocket(port));
  return sockets;
}
