/** Main thread. A client's connection: who is at its other end, and which answers it still waits for. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Account, Budget } from './budget.js';
import { describeTls } from './tls-environ.js';

export interface Connection {
  readonly scheme: 'http' | 'https';
  /** In place of the Host field, where a trusted proxy told it; null elsewhere. */
  readonly host: string | null;
  readonly serverName: string;
  readonly serverPort: string;
  readonly remoteAddress: string;
  readonly remotePort: string;
  /** What the environ says of TLS; not there without it. */
  readonly tls?: Readonly<Record<string, string>>;
}

/** What is kept with a socket, for keep-alive asks again and again. */
interface SocketState extends Connection {
  /** What its requests make the process hold; null where nobody counts that. */
  account: Account | null;
  /** It holds more than others, and there is little room. */
  isRelieved: boolean;
  /** Those behind the connection's last answer count too, and stay. */
  unanswered: number;
  isEnding: boolean;
  /** Those whose turn has not come; null where there was none yet. */
  turns: Set<Turn> | null;
  /** True once there were too many. */
  isBounded: boolean;
}

/** A request behind others that have no answer yet. */
export interface Turn {
  /** All before it are answered. */
  takeTurn(): void;
  /** The connection ended before. */
  loseTurn(): void;
}

/** A connection with more unanswered requests is read no further; what came with them in one packet is taken in. */
const MAX_PIPELINED = 64;

/** What node:http makes of a request of the shortest kind, beside the text that came. Bytes. */
const REQUEST_COST = 2048;

const kState = Symbol('connection');

type KnownSocket = Partial<Record<typeof kState, SocketState>>;

/** Describes a request's connection. */
export function describeConnection(request: IncomingMessage): Connection {
  return stateOf(request);
}

/** What a socket tells of its two ends. */
export function describeSocket(socket: Socket): Connection {
  return {
    scheme: 'encrypted' in socket ? 'https' : 'http',
    host: null,
    // A Unix socket has neither address nor port.
    serverName: socket.localAddress ?? 'localhost',
    serverPort: String(socket.localPort ?? ''),
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: String(socket.remotePort ?? ''),
    ...(socket instanceof TLSSocket ? { tls: describeTls(socket) } : {}),
  };
}

/**
 * What this request's connection makes the process hold is counted from now on. A connection whose requests in waiting
 * have used up what there is for all ends: node:http has parsed them, and gives them back in no other way.
 */
export function countInBudget(request: IncomingMessage, budget: Budget): void {
  const state = stateOf(request);
  const { socket } = request;
  if (state.account === null) {
    const relieve = () => {
      state.isRelieved = true;
      stopReading(socket, state);
    };
    const resume = () => {
      state.isRelieved = false;
      if (!isFull(state)) socket.resume();
    };
    const account = budget.open({ relieve, resume });
    state.account = account;
    socket.once('close', () => account.close());
  }
  if (budget.isSpent && state.unanswered > MAX_PIPELINED) socket.destroy();
}

/** A request was taken in; countAnswer() follows when its response is over. */
export function countRequest(request: IncomingMessage): void {
  const state = stateOf(request);
  state.unanswered += 1;
  state.account?.add(costOf(request));
  if (state.unanswered === MAX_PIPELINED + 1) stopReading(request.socket, state);
}

/** A response is over, whole or not. */
export function countAnswer(request: IncomingMessage): void {
  const state = stateOf(request);
  state.unanswered -= 1;
  state.account?.add(-costOf(request));
  if (state.unanswered === MAX_PIPELINED || state.isRelieved) request.socket.resume();
}

/**
 * Tells a request of its turn. Those before it may change what it is about, and one client must not fill the backlog, so
 * nothing is done for it earlier. RFC 9112, section 9.3.2.
 */
export function awaitTurn(request: IncomingMessage, response: ServerResponse, turn: Turn): void {
  const turns = turnsOf(request);
  turns.add(turn);
  response.once('socket', () => {
    turns.delete(turn);
    turn.takeTurn();
  });
}

/** The answer to this request is the connection's last: what comes behind it is not looked at. RFC 9112, section 9.6. */
export function endAfter(request: IncomingMessage): void {
  stateOf(request).isEnding = true;
}

/** True when an earlier request's answer is the connection's last: this one is not to be looked at. */
export function isBehindLast(request: IncomingMessage): boolean {
  if (!stateOf(request).isEnding) return false;
  countRequest(request);
  return true;
}

/** node:http gives a response its socket when its turn comes, and until then does not tell it of the connection's end. */
function turnsOf(request: IncomingMessage): Set<Turn> {
  const state = stateOf(request);
  if (state.turns !== null) return state.turns;
  const turns = new Set<Turn>();
  state.turns = turns;
  request.socket.once('close', () => {
    for (const turn of turns) turn.loseTurn();
  });
  return turns;
}

function isFull({ unanswered, isRelieved }: SocketState): boolean {
  return unanswered > (isRelieved ? 1 : MAX_PIPELINED);
}

/** The same whenever it is asked for the same request, of which a framework may change the target. */
function costOf({ rawHeaders }: IncomingMessage): number {
  let length = 0;
  for (const text of rawHeaders) length += text?.length ?? 0;
  return REQUEST_COST + length;
}

/** Not at once, for node:http reads on after each request that it has parsed, and when the client has taken some answer. */
function stopReading(socket: Socket, state: SocketState): void {
  process.nextTick(pauseIfFull, socket, state);
  if (state.isBounded) return;
  state.isBounded = true;
  socket.on('resume', () => pauseIfFull(socket, state));
}

function pauseIfFull(socket: Socket, state: SocketState): void {
  if (!isFull(state)) return;
  // A pause between resume() and its event is undone by node:http, which then reads although the stream is paused.
  if (socket.isPaused()) socket.emit('pause');
  else socket.pause();
}

function stateOf(request: IncomingMessage): SocketState {
  const socket = request.socket as typeof request.socket & KnownSocket;
  socket[kState] ??= {
    ...describeSocket(socket),
    account: null,
    isRelieved: false,
    unanswered: 0,
    isEnding: false,
    turns: null,
    isBounded: false,
  };
  return socket[kState];
}
