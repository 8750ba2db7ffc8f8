/** Main thread. [8] Head and blocks ► the way out: declared lengths, and what becomes of the connection. */
import { STATUS_CODES } from 'node:http';
import { LidoError } from '../contract/errors.js';
import { AnswerBuffer, type AnswerBuffering } from './answer-buffer.js';
import type { ErrorPage } from './error-page.js';
import { type Head, parseFields, parseHead } from './response-head.js';
import type { ResponseSink } from './response-sink.js';
import { type BlockOutlet, ShortBlocks } from './short-blocks.js';

/**
 * - unstarted: nothing is on the wire
 * - open: the head is, and blocks may follow
 * - complete: the last byte was handed to the sink
 * - aborted: the connection was ended, so that the client cannot take a part for the whole
 */
type State = 'unstarted' | 'open' | 'complete' | 'aborted';

/**
 * What becomes of the connection after the response. `undecided`: it is kept if the request was read whole by the time
 * that the head goes out, for a client says no more where it sees that it will be closed.
 */
export type ConnectionFate = 'keep' | 'close' | 'undecided';

/** Told of bytes that the socket has taken, and of a body that breaks its declared length. */
export interface ResponseEvents {
  acknowledge(bytes: number): void;
  /** The rest of the body is not wanted: the declared length is reached. */
  stop(error: LidoError): void;
}

/** Writes one response. */
export class ResponseWriter {
  readonly #sink: ResponseSink;
  /** Null where whoever produces the answer is to wait for the client. */
  readonly #buffering: AnswerBuffering | null;
  #buffer: AnswerBuffer | null = null;
  /** Where blocks go: to the sink, or on their way to it. */
  #outlet: BlockOutlet;
  readonly #isHead: boolean;
  readonly #isDraining: () => boolean;
  #state: State = 'unstarted';
  #head: Head | null = null;
  #written = 0;
  /** Where a framework answered an error in its own way. */
  #hostStatus: number | null = null;
  #unacknowledged = 0;
  #isStopped = false;
  #events: ResponseEvents | null = null;
  #added: readonly string[] | null = null;
  connection: ConnectionFate = 'keep';

  /** `sendTimeoutMs`: how long the client may take nothing; 0 for no limit. While draining, connections are not kept. */
  constructor(
    sink: ResponseSink,
    method: string,
    sendTimeoutMs: number,
    isDraining: () => boolean = () => false,
    buffering: AnswerBuffering | null = null,
  ) {
    this.#sink = sink;
    this.#outlet = sink;
    this.#buffering = buffering;
    this.#isHead = method === 'HEAD';
    this.#isDraining = isDraining;
    sink.limitSending(sendTimeoutMs);
  }

  get state(): State {
    return this.#state;
  }

  /** As it stands on the wire; null while nothing does. */
  get status(): number | null {
    return this.#head?.status ?? this.#hostStatus;
  }

  /** Bytes of the body that were written. */
  get written(): number {
    return this.#written;
  }

  /** The values of a field of the head, by its name in lower case; undefined where there is none. */
  field(name: string): string | undefined {
    const fields = this.#head?.fields ?? [];
    const values = fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === name);
    return values.length === 0 ? undefined : values.join(', ');
  }

  /** True while whoever produces the answer may be waiting for the client. */
  get isBlocked(): boolean {
    return this.#unacknowledged > 0;
  }

  /** Bytes of the body that are still wanted, once the head is on the wire; null when no length was declared. */
  get remaining(): number | null {
    if (this.#state !== 'open' || this.#isBodiless) return 0;
    const declared = this.#head?.contentLength ?? null;
    return declared === null ? null : declared - this.#written;
  }

  /** Adds a field, its name and its value, to the head, unless the application has it. */
  addField(field: readonly [name: string, value: string]): void {
    this.#added = [...(this.#added ?? []), ...field];
  }

  listen(events: ResponseEvents): void {
    this.#events = events;
  }

  /** From here on blocks are taken though the client does not take them. For a worker's; a file can wait by itself. */
  bufferBlocks(): void {
    const buffering = this.#buffering;
    if (buffering !== null) this.#buffer = new AnswerBuffer(this.#sink, buffering);
    this.#outlet = this.#buffer ?? new ShortBlocks(this.#sink);
  }

  /** The response is over, whole or not: told once to each listener. */
  onceClosed(listener: () => void): void {
    this.#sink.onceClosed(listener);
  }

  /** Sends `100 Continue` where the client waits for it and has not got it. */
  writeContinue(): void {
    if (this.#state === 'unstarted') this.#sink.writeContinue();
  }

  /** Sends early hints, as a head without its status line; nothing once the answer has begun. RFC 8297. */
  writeEarlyHints(wire: string): void {
    if (this.#state === 'unstarted') this.#sink.writeEarlyHints(parseFields(wire));
  }

  /** Fields for behind the body, in the same form; dropped where its framing has no place for them. */
  addTrailers(wire: string): void {
    if (this.#state === 'open') this.#sink.addTrailers(parseFields(wire));
  }

  /** Writes a response whose body is known whole. Returns what is wrong with its head or its declared length, if anything. */
  writeWhole(wire: string, body: string | Uint8Array): LidoError | null {
    const head = parseHead(wire);
    if (head.fault !== undefined) return new LidoError('LIDO_MALFORMED_HEADER', [head.fault]);
    const declared = head.contentLength;
    if (declared !== null && declared !== body.length && head.mayHaveBody && !this.#isHead) {
      this.writeHead(wire, body);
      return this.end();
    }
    if (!this.#start(head, body.length)) return null;
    if (!this.#isBodiless) this.#written = body.length;
    this.#finish(head.mayHaveBody ? body : '');
    return null;
  }

  /** Writes the head, and the first block. */
  writeHead(wire: string, block: string | Uint8Array): void {
    if (!this.#start(parseHead(wire), null)) return;
    // Nothing else may be written until the end, which may be long in coming.
    if (this.#isBodiless) this.#sink.flushHead();
    if (block.length > 0 || this.remaining === 0) this.writeBlock(block);
  }

  /**
   * Writes a further block; what goes beyond the declared length is cut off. An empty one sends the head on its way. `giveBack` is called when nothing reads the
   * block any more; where the response is closed before, that says the same.
   */
  writeBlock(block: string | Uint8Array, giveBack?: () => void): void {
    if (this.#state !== 'open' || this.#isBodiless) {
      giveBack?.();
      this.#dropBlock(block);
      return;
    }
    const declared = this.#head?.contentLength ?? null;
    const room = declared === null ? block.length : declared - this.#written;
    const fits = block.length <= room;
    this.#written += Math.min(block.length, room);
    const last = declared !== null && this.#written >= declared;
    this.#writeBytes(fits ? block : cutOff(block, room), last, giveBack);
    if (!fits) this.#stopExcess();
  }

  /** Ends the response; aborts it when less came than was declared. */
  end(): LidoError | null {
    if (this.#state !== 'open') return null;
    const declared = this.#head?.contentLength ?? null;
    if (declared !== null && this.#written < declared && !this.#isBodiless) {
      this.abort();
      return new LidoError('LIDO_BODY_TOO_SHORT', [this.#written, declared]);
    }
    this.#finish('');
    return null;
  }

  /** Answers with an error before the head went out; afterwards only an abort is honest. */
  writeError(error: LidoError, page: ErrorPage): void {
    if (this.#state !== 'unstarted') {
      this.abort();
      return;
    }
    const status = error.status ?? 500;
    const fields: Record<string, string> =
      status === 503 ? { 'Retry-After': String(error.retryAfter ?? 1) } : {};
    if (this.#sink.answerError(error, fields, this.#decideClosing())) {
      this.#state = 'complete';
      this.#hostStatus = status;
    } else {
      const body = Buffer.from(page.body);
      const all = { 'Content-Type': page.type, 'Content-Length': String(body.length), ...fields };
      const reason = STATUS_CODES[status] ?? '';
      const head = { status, reason, fields: Object.entries(all).flat(), contentLength: body.length };
      if (!this.#start({ ...head, mayHaveBody: true }, body.length)) return;
      if (!this.#isHead) this.#written = body.length;
      this.#finish(this.#isHead ? '' : body);
    }
  }

  /** The connection goes on in another protocol: nothing more is written here. */
  switchProtocols(head: Head): void {
    this.#head = head;
    this.#state = 'complete';
  }

  /** Ends the connection unless the response is complete. */
  abort(): void {
    if (this.#state === 'complete' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    this.#buffer?.close();
    this.#sink.abort();
  }

  get #isBodiless(): boolean {
    return this.#isHead || this.#head?.mayHaveBody === false;
  }

  /** `length` is the body's where it is known: it is declared for the application when it did not do so itself. */
  #start(head: Head, length: number | null): boolean {
    if (head.fault !== undefined) {
      this.abort();
      this.#events?.stop(new LidoError('LIDO_MALFORMED_HEADER', [head.fault]));
      return false;
    }
    const isUndeclared = length !== null && head.contentLength === null && head.mayHaveBody;
    // The length of an empty body says nothing about what GET would have returned.
    const declares = isUndeclared && !(this.#isHead && length === 0);
    this.#head = this.#added === null ? head : this.#completeHead(head, this.#added);
    // A framework may have answered in the meantime, for a time-out of its own: the response is not wanted any more.
    const isOurs = this.#sink.writeHead(this.#head, declares ? length : null, this.#decideClosing());
    this.#state = isOurs ? 'open' : 'aborted';
    return isOurs;
  }

  #completeHead(head: Head, added: readonly string[]): Head {
    const fields = [...head.fields];
    const isThere = (name: string) =>
      fields.some((field, index) => index % 2 === 0 && field.toLowerCase() === name.toLowerCase());
    for (let index = 0; index < added.length; index += 2)
      if (!isThere(added[index] as string)) fields.push(added[index] as string, added[index + 1] as string);
    return { ...head, fields };
  }

  /** A client that keeps its connection must not keep the server from closing. RFC 9112, section 9.6. */
  #decideClosing(): boolean {
    if (this.connection === 'undecided') this.connection = this.#sink.isRequestRead ? 'keep' : 'close';
    return this.connection === 'close' || this.#isDraining();
  }

  #writeBytes(block: string | Uint8Array, last: boolean, giveBack?: () => void): void {
    if (last) {
      this.#finish(block);
      this.#events?.acknowledge(block.length);
      return;
    }
    if (block.length === 0) {
      this.#sink.flushHead();
      return;
    }
    if (this.#outlet.write(block, giveBack)) {
      this.#events?.acknowledge(block.length);
      return;
    }
    if (this.#unacknowledged === 0) this.#outlet.onceDrained(this.#acknowledgeAll);
    this.#unacknowledged += block.length;
  }

  #finish(block: string | Uint8Array): void {
    this.#state = 'complete';
    this.#outlet.end(block);
  }

  readonly #acknowledgeAll = (): void => {
    const bytes = this.#unacknowledged;
    this.#unacknowledged = 0;
    this.#events?.acknowledge(bytes);
  };

  /** What cannot be sent: a body where none may be, or what follows the declared length. */
  #dropBlock(block: string | Uint8Array): void {
    if (this.#state === 'complete' && block.length > 0) this.#stopExcess();
    if (this.#state !== 'open') return;
    // Nothing will be written that could tell a client that ended its side from one that is gone: it has the head.
    if (this.#sink.hasClientEnded) this.abort();
    else this.#events?.acknowledge(block.length);
  }

  /** An application may go on for ever behind the length that it declared. */
  #stopExcess(): void {
    const declared = this.#head?.contentLength ?? null;
    if (this.#isStopped || this.#isHead || declared === null) return;
    this.#isStopped = true;
    this.#events?.stop(new LidoError('LIDO_BODY_TOO_LONG', [declared]));
  }
}

function cutOff(block: string | Uint8Array, length: number): string | Uint8Array {
  return typeof block === 'string' ? block.slice(0, length) : block.subarray(0, length);
}
