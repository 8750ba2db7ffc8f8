/** Main thread. A request that leaves this process with its connection, for another one to answer. Types only. */
import type { Socket } from 'node:net';
import type { Connection } from './connection.js';

/** What goes with the socket: all that was read from it and is not answered. Plain data, for it crosses processes. */
export interface Luggage {
  /** A whole request, and what came behind it. Latin-1. */
  readonly text: string;
  /** How many requests of the connection were answered before. */
  readonly answered: number;
  /** Who is at the other end, as a proxy told it or the socket itself. */
  readonly client: Connection;
}

export interface Departure {
  /** Nothing is read from it any more in this process. */
  readonly socket: Socket;
  /** The index of the address that the connection came to. */
  readonly address: number;
  readonly luggage: Luggage;
}
