/** Main thread. What Lido needs of the way out to a client, whoever writes to the socket. Types only. */
import type { LidoError } from '../contract/errors.js';
import type { Head } from './response-head.js';

/**
 * The way of one response: a ServerResponse (node-sink.ts), or a connection of Lido's own. It chooses the transfer coding
 * and adds Date and Connection; it does not count what it is given (response-writer.ts does).
 */
export interface ResponseSink {
  /** True when nothing of the request is left on its connection, so that the next one may follow the answer. */
  readonly isRequestRead: boolean;
  /** True when the client has ended its side of the connection. */
  readonly hasClientEnded: boolean;
  /** Milliseconds that the client may take nothing of what was written; 0 for no limit. It is then as if it were gone. */
  limitSending(timeoutMs: number): void;
  /**
   * A client that ends its side is taken for gone after a second, though it may wait for the answer: what produces that listens
   * for its end. Not there where such a client is always taken for gone.
   */
  leaveWithClient?(): void;
  /** Sends `100 Continue` unless that was sent, or the head was. */
  writeContinue(): void;
  /** Sends these fields, names and values, ahead of the head, unless that was sent: 103, to clients of HTTP/1.1. RFC 8297. */
  writeEarlyHints(fields: readonly string[]): void;
  /** These fields follow the body where that goes in chunks. Before end(). RFC 9112, section 7.1.2. */
  addTrailers(fields: readonly string[]): void;
  /**
   * Takes the head, which may go out with what is written next. `length`: a Content-Length to add, or null. `closes`: the
   * connection ends with this response. False where somebody else has answered: nothing is to follow.
   */
  writeHead(head: Head, length: number | null, closes: boolean): boolean;
  /** Sends the head on its way where nothing may follow for a while. */
  flushHead(): void;
  /**
   * False where the client takes less than comes: `drained` is told when it has taken all. Bytes must stay as they are
   * until `giveBack`, or until the response is closed. Strings are latin-1.
   */
  write(block: string | Uint8Array, giveBack?: () => void): boolean;
  /** The last block, which may be empty. */
  end(block: string | Uint8Array): void;
  /** Ends the connection, so that the client cannot take a part for the whole. What was written in this turn still goes out. */
  abort(): void;
  /**
   * An answer that somebody else gives in its own way, a framework for instance: true where they do, and then nothing is
   * to be written. `fields` are names and values that go with it.
   */
  answerError(error: LidoError, fields: Readonly<Record<string, string>>, closes: boolean): boolean;
  onceDrained(listener: () => void): void;
  /** The response is over, whole or not: told once to each listener. */
  onceClosed(listener: () => void): void;
}
