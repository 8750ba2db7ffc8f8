/** Main thread. Lido's own HTTP as the settings want it. */
import type { MountTable } from '../application/mounts.js';
import type { Connection } from '../http/connection.js';
import type { Refusal } from '../http/gate.js';
import type { HeadLimits } from '../http/wire/head-parser.js';
import { HttpListener } from '../http/wire/listener.js';
import type { ProxyOptions } from '../http/wire/proxied-socket.js';
import type { Log } from '../log.js';
import { expandMounts } from '../settings/mounts.js';
import type { Settings } from '../settings/resolve.js';
import { trustProxies } from '../settings/trusted-proxies.js';
import type { Door } from './door.js';

/** RFC 9110, section 15.6.6. */
const VERSION_NOT_SERVED = 505;

/**
 * Makes what speaks HTTP/1.1 on the sockets that it is given; nothing is started before the first. `address`: the index of
 * the address that they come to, where they may leave for other processes.
 */
export function createHttpListener(
  settings: Settings,
  address: number | null,
  log: Log,
  { budget, handle, strangers, naming }: MountTable,
  door: Door | null,
): HttpListener {
  const applications = expandMounts(settings).map(([, own]) => own);
  return new HttpListener({
    limits: findWidestLimits(applications),
    headerTimeoutMs: settings.headerTimeout * 1000,
    keepAliveMs: settings.keepalive * 1000,
    sendTimeoutMs: findLongestSendTimeout(applications) * 1000,
    mostRequests: settings.keepaliveRequests,
    address,
    budget,
    handle,
    refused: (refusal, client) => {
      const requestId = naming.idOf(null);
      logRefusal(log, refusal, client, requestId);
      strangers?.refusedHead(refusal, client, requestId);
    },
    proxies: settings.proxyProtocol ? describeProxies(settings, log) : null,
    admits: door?.admitFrom ?? null,
  });
}

/** Which application a request is for is known once its head is read: each has its own limits looked at then. */
function findWidestLimits(applications: readonly Settings[]): HeadLimits {
  return {
    requestLine: Math.max(...applications.map(({ limitRequestLine }) => limitRequestLine)),
    fields: Math.max(...applications.map(({ limitRequestFields }) => limitRequestFields)),
    fieldSize: Math.max(...applications.map(({ limitRequestFieldSize }) => limitRequestFieldSize)),
  };
}

/** Seconds; 0 where an application has no limit. */
function findLongestSendTimeout(applications: readonly Settings[]): number {
  const timeouts = applications.map(({ sendTimeout }) => sendTimeout);
  return timeouts.includes(0) ? 0 : Math.max(...timeouts);
}

function describeProxies({ forwardedAllowIps }: Settings, log: Log): ProxyOptions {
  return {
    trusts: trustProxies(forwardedAllowIps, []).includes,
    refused: ({ remoteAddress }) =>
      log.warn({ remoteAddress }, 'refused a trusted proxy that did not begin with the PROXY protocol'),
  };
}

/** What is wrong with a single request is for its client to see; a client of another version never shows it to anybody. */
function logRefusal(
  log: Log,
  { status, reason }: Refusal,
  { remoteAddress }: Connection,
  requestId: string,
): void {
  if (status === VERSION_NOT_SERVED)
    log.warn({ requestId, status, remoteAddress }, `refused a client: ${reason}`);
}
