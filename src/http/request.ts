/** Main thread. What Lido needs of a request, whoever parsed it. Types only. */
import type { Duplex } from 'node:stream';
import type { Connection } from './connection.js';
import type { Departure } from './departure.js';
import type { EnvironContext } from './environ.js';
import type { GateLimits, Refusal } from './gate.js';

/** One request: what node:http parsed (node-request.ts), or Lido's own parser. */
export interface HttpRequest {
  readonly method: string;
  /** The target as the client sent it, or as a framework left it. */
  readonly target: string;
  /** "1.1" or "1.0". */
  readonly version: string;
  /** Fields by their names in lower case, repeated ones joined by a comma. Made when it is first asked for. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** One field by its name in lower case; cheaper than all of them. */
  field(name: string): string | undefined;
  /** Whether an error page is to be HTML rather than plain text. */
  readonly prefersHtml: boolean;
  readonly connection: Connection;
  /** Bytes of the body as declared: 0 where there is none, null where it comes in chunks. */
  readonly bodyLength: number | null;
  /** True where the client waits for `100 Continue` before it sends the body. RFC 9110, section 10.1.1. */
  readonly expectsContinue: boolean;
  /** True where somebody in this process has read the body, or a part of it: it will not come again. */
  readonly isBodyLost: boolean;
  /** What is to be refused before an application sees it; null when it may pass. */
  check(limits: GateLimits): Refusal | null;
  /** The environ on the wire (see KEYS_END in protocol.ts), of a request that has passed check(). */
  buildEnviron(connection: Connection, context: EnvironContext): string;
  /** Gives the body's bytes to `receiver` from the first resume() on. Call it once, for a request that has a body. */
  feedBody(receiver: BodyReceiver): BodyFlow;
  /**
   * Gives the connection away with this request, of which nothing is answered yet, and its whole body as latin-1 text. Null
   * where it cannot leave; otherwise nobody here hears of it again.
   */
  leave?(body: string): Departure | null;
  /**
   * Ends HTTP on the connection before anything is answered: what comes and goes on it from here on is the caller's. The
   * response's onceClosed() tells of its end. Null where the client is gone. Not there where the connection is not to be had.
   */
  takeSocket?(): TakenSocket | null;
}

/** A connection that was taken over. */
export interface TakenSocket {
  readonly socket: Duplex;
  /** What the client has sent behind its request. */
  readonly head: Buffer;
}

/** Where the bytes of a body go as they come. Nothing follows end() or fail(). */
export interface BodyReceiver {
  push(chunk: Buffer): void;
  /** Where the next bytes may be put before they are pushed, which are not copied then; null where that is of no use. */
  room(): Buffer | null;
  /** The body is whole; with the names of the fields in its trailer. */
  end(trailers: readonly string[]): void;
  /** What came is no body: the status to answer with. */
  fail(status: number): void;
}

/** How the reading of a body is held and let go. */
export interface BodyFlow {
  /** Bytes may come. Nothing does before the first call, which may call the receiver at once. */
  resume(): void;
  /** No more for now; what was read already may still come. */
  pause(): void;
  /** Nothing of it is wanted any more: the receiver is not called again. */
  stop(): void;
}
