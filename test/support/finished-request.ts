// A request that is over, as the access log and the figures are told of it.
import type { FinishedRequest } from '../../dist/src/observe/finished-request.js';

export function finished(changes: Partial<FinishedRequest> = {}): FinishedRequest {
  const fields: Record<string, string> = {
    authorization: `Basic ${Buffer.from('ada:secret').toString('base64')}`,
    referer: 'http://lido.test/',
    'user-agent': 'curl/8',
  };
  return {
    requestId: 'abc-1',
    traceId: undefined,
    mount: '/',
    method: 'GET',
    url: '/shop?q=1',
    httpVersion: '1.1',
    remoteAddress: '192.0.2.1',
    status: 200,
    isAnswered: true,
    bytesSent: 1234,
    bytesReceived: 0,
    durationMs: 1500.25,
    waitMs: 3.5,
    applicationMs: 1496.75,
    requestField: (name) => fields[name],
    responseField: (name) => (name === 'content-type' ? 'text/html' : undefined),
    environKey: (key) => (key === 'REMOTE_USER' ? 'ada' : undefined),
    ...changes,
  };
}
