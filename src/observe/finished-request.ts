/** Main thread. What is told of a request once its answer is over, however it ended. */

export interface FinishedRequest {
  readonly requestId: string;
  /** W3C Trace Context's; undefined where nobody traces. */
  readonly traceId: string | undefined;
  /** Where its application is mounted: '/' or '/shop'. */
  readonly mount: string;
  readonly method: string;
  /** The target as the client sent it. */
  readonly url: string;
  /** "1.1" */
  readonly httpVersion: string;
  /** The client's, seen through trusted proxies; '' over a Unix socket. */
  readonly remoteAddress: string;
  /** As it was sent; 499 where the client was gone, or the answer given up, before there was one. */
  readonly status: number;
  /** False where that stands on no wire. */
  readonly isAnswered: boolean;
  /** Of the body, or of a WebSocket's messages, as the application gave them. */
  readonly bytesSent: number;
  /** The same, as the client sent them. */
  readonly bytesReceived: number;
  /** From when its head was read until the answer's last byte was handed to the system, or given up. Milliseconds. */
  readonly durationMs: number;
  /** What of that it waited for a worker. Milliseconds. */
  readonly waitMs: number;
  /** What of that a worker had it. Milliseconds. */
  readonly applicationMs: number;
  /** A field of the request, by its name in lower case. */
  requestField(name: string): string | undefined;
  /** A field of the response, by its name in lower case. */
  responseField(name: string): string | undefined;
  /** A key of the environ. */
  environKey(key: string): string | undefined;
}

/** nginx's status for a client that went before it was answered: it never stands on the wire. */
export const CLIENT_GONE = 499;
