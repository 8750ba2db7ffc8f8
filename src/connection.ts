/** Main thread. A client's connection: who is at its other end, and which answers it still waits for. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Connection {
  readonly scheme: 'http' | 'https';
  /** In place of the Host field, where a trusted proxy told it; null elsewhere. */
  readonly host: string | null;
  readonly serverName: string;
  readonly serverPort: string;
  readonly remoteAddress: string;
  readonly remotePort: string;
}

/** What is kept with a socket, for keep-alive asks again and again. */
interface SocketState extends Connection {
  unanswered: number;
  /** When the last request was taken in, by performance.now(). */
  askedAt: number;
  isEnding: boolean;
  whenAnswered: (() => void) | null;
  failBody: FailBody | null;
}

/** Answers the request whose body turned out broken with this status; false when its body was whole before. */
export type FailBody = (status: number) => boolean;

const kState = Symbol('connection');

type KnownSocket = Partial<Record<typeof kState, SocketState>>;

/** Describes a request's connection. */
export function describeConnection(request: IncomingMessage): Connection {
  return stateOf(request);
}

/** A request was taken in; countAnswer() follows when its response is over. `failBody` is for one that has a body. */
export function countRequest(request: IncomingMessage, failBody: FailBody | null): void {
  const state = stateOf(request);
  state.unanswered += 1;
  state.askedAt = performance.now();
  state.failBody = failBody;
}

/** A response is over, whole or not. */
export function countAnswer(request: IncomingMessage): void {
  const state = stateOf(request);
  state.unanswered -= 1;
  if (state.unanswered === 0) state.whenAnswered?.();
}

/** Milliseconds since the last request was taken in on this connection; Infinity where there was none. */
export function sinceLastRequest(socket: Duplex): number {
  const state = (socket as KnownSocket)[kState];
  return state === undefined ? Number.POSITIVE_INFINITY : performance.now() - state.askedAt;
}

/** The answer to this request is the connection's last: what comes behind it is not looked at. RFC 9112, section 9.6. */
export function endAfter(request: IncomingMessage): void {
  stateOf(request).isEnding = true;
}

/** True when an earlier request's answer is the connection's last. */
export function isEnding(request: IncomingMessage): boolean {
  return stateOf(request).isEnding;
}

/** Calls back once every request that was taken in on this connection is answered: answers keep the requests' order. */
export function whenAnswered(socket: Duplex, callback: () => void): void {
  const state = (socket as KnownSocket)[kState];
  if (state === undefined || state.unanswered === 0) callback();
  else state.whenAnswered = callback;
}

/** The parser found an error: true when it lies in a body, whose request then gets the answer. */
export function failBody(socket: Duplex, status: number): boolean {
  return (socket as KnownSocket)[kState]?.failBody?.(status) ?? false;
}

function stateOf(request: IncomingMessage): SocketState {
  const socket = request.socket as typeof request.socket & KnownSocket;
  socket[kState] ??= {
    scheme: 'encrypted' in socket ? 'https' : 'http',
    host: null,
    // A Unix socket has neither address nor port; PEP 3333 wants both keys to be there.
    serverName: socket.localAddress ?? 'localhost',
    serverPort: String(socket.localPort ?? ''),
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: String(socket.remotePort ?? ''),
    unanswered: 0,
    askedAt: 0,
    isEnding: false,
    whenAnswered: null,
    failBody: null,
  };
  return socket[kState];
}
