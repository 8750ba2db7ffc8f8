/** One load against one server: what the client saw, and what it cost the server's whole process tree. */
import { inThread } from './in-thread.mjs';
import { readCpuSeconds, watchRss } from './processes.mjs';
import { rest } from './rest.mjs';
import { saturate } from './saturate.mjs';

const kinds = {
  saturate,
  starve: (server, load) => inThread('./starve.mjs', { ...load, port: server.port }),
  fanOut: (server, load) => inThread('./fan-out.mjs', { ...load, port: server.port }),
  hold: (server, load) => inThread('./hold.mjs', { ...load, port: server.port, pid: server.pid }),
  echo: (server, load) => inThread('./echo.mjs', { ...load, port: server.port }),
  mixed: (server, load) => inThread('./mixed.mjs', { ...load, port: server.port }),
  transfer: (server, load) => inThread('./transfer.mjs', { ...load, port: server.port }),
  rest,
};

/** Latencies are milliseconds, `cpu` is seconds for each request, `rss` is the peak in bytes. */
export async function measure(server, load) {
  const stopWatching = watchRss(server.pid);
  const before = readCpuSeconds(server.pid);
  const seen = await kinds[load.kind](server, load);
  const cpuSeconds = readCpuSeconds(server.pid) - before;
  return {
    ...seen,
    cpuSeconds,
    cpu: seen.requests > 0 ? cpuSeconds / seen.requests : null,
    rss: stopWatching(),
  };
}
