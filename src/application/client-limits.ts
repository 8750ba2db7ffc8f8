/** Main thread. What clients may send, and whom to believe about them, by the settings. */
import { resolveForwarded } from '../http/forwarded.js';
import type { GateLimits } from '../http/gate.js';
import type { Settings } from '../settings/resolve.js';
import { type Trust, trustProxies } from '../settings/trusted-proxies.js';
import type { AcceptorOptions } from './acceptor.js';

/** What the gate refuses, by these settings. */
export function readGateLimits(settings: Settings): GateLimits {
  return {
    requestLine: settings.limitRequestLine,
    fields: settings.limitRequestFields,
    fieldSize: settings.limitRequestFieldSize,
    maxBodySize: settings.maxBodySize,
  };
}

/** Null where no proxy is trusted. */
export function readTrust({ forwardedAllowIps, forwardedFields }: Settings): Trust | null {
  return forwardedAllowIps.length === 0 ? null : trustProxies(forwardedAllowIps, forwardedFields);
}

/** Who the client is, as the proxies tell that are trusted. */
export function chooseConnection(settings: Settings): AcceptorOptions['connectionOf'] {
  const trust = readTrust(settings);
  if (trust === null) return ({ connection }) => connection;
  return ({ connection, headers }) => resolveForwarded(connection, headers, trust);
}
