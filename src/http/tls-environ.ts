/** Main thread. What the environ says of a TLS connection, by the names that Apache's mod_ssl gave. */
import type { TLSSocket } from 'node:tls';

/** Keys and latin-1 values; read once for each connection, after its handshake. */
export function describeTls(socket: TLSSocket): Readonly<Record<string, string>> {
  const protocol = {
    HTTPS: 'on',
    SSL_PROTOCOL: socket.getProtocol() ?? '',
    SSL_CIPHER: socket.getCipher().name,
  };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { ...protocol, SSL_CLIENT_VERIFY: 'NONE' };
  return {
    ...protocol,
    // Where certificates are required, one that cannot be verified does not come so far.
    SSL_CLIENT_VERIFY: socket.authorized ? 'SUCCESS' : `FAILED:${socket.authorizationError}`,
    SSL_CLIENT_S_DN: describeName(certificate.subject),
    SSL_CLIENT_I_DN: describeName(certificate.issuer),
    SSL_CLIENT_M_SERIAL: certificate.serialNumber,
    SSL_CLIENT_CERT: certificate.toString(),
  };
}

/** RFC 2253's order and commas, as mod_ssl has them: the most specific part first. Node gives a line for each part. */
function describeName(lines: string): string {
  const parts = lines.split('\n').reverse();
  return Buffer.from(parts.join(',')).toString('latin1');
}
