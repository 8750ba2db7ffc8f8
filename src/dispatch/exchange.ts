/** Main thread. One request and its response, from the gate to the last byte: the only owner of its state. */
import { LidoError } from '../contract/errors.js';
import type { Connection } from '../http/connection.js';
import type { Departure } from '../http/departure.js';
import { buildErrorPage } from '../http/error-page.js';
import type { HttpRequest } from '../http/request.js';
import type { RequestBodySource } from '../http/request-body.js';
import { findTraceId, type RequestNames, type RequestNaming } from '../http/request-naming.js';
import type { ResponseWriter } from '../http/response-writer.js';
import { INTERNAL_ERROR, type WebSocketConnection } from '../http/websocket/connection.js';
import type { WebSockets } from '../http/websocket/websockets.js';
import type { Log } from '../log.js';
import { FIRST_GUESS, type Manner } from './manners.js';
import type { RefusalLog } from './refusal-log.js';

/**
 * - receiving: its body is collected before a worker is bothered
 * - waiting: in the backlog, or recalled and on its way there
 * - sent: posted to a worker, which may or may not have claimed it
 * - detached: the worker still holds it, but nothing that it says of it is wanted any more: the client is gone, or the
 *   main thread writes the rest of the answer itself
 * - over: nothing more is done for it
 */
export type ExchangeState = 'receiving' | 'waiting' | 'sent' | 'detached' | 'over';

/** Who holds an exchange while it is sent: the session of a worker. */
export interface ExchangeHolder {
  /** When the request that runs now began to, at the earliest; performance.now(). */
  readonly busySince: number;
  /** False where several requests run at once, each as soon as it is sent. */
  readonly runsOne: boolean;
  /** Ends the work for it: its client is gone. */
  giveUp(exchange: Exchange): void;
}

/** Who wants to know what becomes of an exchange. */
export interface ExchangeObserver {
  /** It failed, or was refused; told before closed(). */
  failed(exchange: Exchange, error: LidoError): void;
  /** Its answer is over, whole or not. Told once. */
  closed(exchange: Exchange): void;
}

/** Who answers in place of the application, where its head asks for that. */
export interface Substitute {
  /** Whether this head does. */
  isFor(head: string): boolean;
  /** Writes the whole answer of an exchange that is detached from its worker. Never rejects. */
  answer(exchange: Exchange, head: string): Promise<void>;
}

export interface ExchangeParts {
  /** As in the log and in the environ's `lido.request_id`. */
  readonly requestId: string;
  readonly naming: RequestNaming;
  readonly log: Log;
  readonly request: HttpRequest;
  /** The target as the client sent it, where a framework has cut it; null where the request has it. */
  readonly url: string | null;
  /** Who asks, seen through trusted proxies. */
  readonly client: Connection;
  readonly writer: ResponseWriter;
  /** Send tracebacks to the client. */
  readonly debug: boolean;
  /** Where it is told that requests are refused. */
  readonly refusals: RefusalLog;
  /** Null where nobody wants to know; then no clock is looked at. */
  readonly observer: ExchangeObserver | null;
  /** Null where the application answers for itself whatever it says. */
  readonly substitute: Substitute | null;
  /** Where it asks for a WebSocket: by whom it is accepted. Null for every other request. */
  readonly webSockets: WebSockets | null;
}

/** Each verb throws LIDO_INVALID_TRANSITION in a state where it may not be. */
export class Exchange {
  readonly requestId: string;
  readonly log: Log;
  readonly request: HttpRequest;
  readonly writer: ResponseWriter;
  /** Given by whoever takes the request in, before anything else is done with it. */
  body!: RequestBodySource;
  /** Given by whoever takes the request in: its connection will tell nothing of it any more. */
  onceDeparted: () => void = () => {};
  /** The environ on the wire; kept until the request is over, for it may be recalled and sent again. */
  environ = '';
  /** Who asks, seen through trusted proxies. */
  readonly client: Connection;
  readonly observer: ExchangeObserver | null;
  readonly substitute: Substitute | null;
  readonly webSockets: WebSockets | null;
  /** Once the application has accepted it. */
  webSocket: WebSocketConnection | null = null;
  /** Times are performance.now(), and 0 until they come, or where nobody observes. */
  readonly receivedAt: number;
  /** A worker could have had it from here on. */
  readyAt = 0;
  /** For the backlog. */
  waitingSince = 0;
  #sentAt = 0;
  #begunAt = 0;
  /** A worker was done with it. */
  endedAt = 0;
  /** What is known of requests like this; found by the dispatcher. */
  manner: Manner = FIRST_GUESS;
  /** Of Lido's own span; undefined before it has one, and where nobody traces. */
  traceId: string | undefined = undefined;
  readonly #naming: RequestNaming;
  readonly #url: string | null;
  readonly #debug: boolean;
  readonly #refusals: RefusalLog;
  #state: ExchangeState = 'receiving';
  #id = 0;
  #holder: ExchangeHolder | null = null;

  constructor({
    requestId,
    naming,
    log,
    request,
    url,
    client,
    writer,
    debug,
    refusals,
    observer,
    substitute,
    webSockets,
  }: ExchangeParts) {
    this.requestId = requestId;
    this.#naming = naming;
    this.log = log;
    this.request = request;
    this.writer = writer;
    this.#url = url;
    this.#debug = debug;
    this.#refusals = refusals;
    this.client = client;
    this.observer = observer;
    this.substitute = substitute;
    this.webSockets = webSockets;
    this.receivedAt = observer === null ? 0 : performance.now();
  }

  /** Its names as log lines have them. */
  get names(): RequestNames {
    const traceId = this.traceId ?? findTraceId(this.#naming, this.request);
    return traceId === undefined ? { requestId: this.requestId } : { requestId: this.requestId, traceId };
  }

  /** Whether it continues the trace that its client names. */
  get isTraceTrusted(): boolean {
    return this.#naming.trustsTrace(this.request);
  }

  /** The target as the client sent it. */
  get url(): string {
    return this.#url ?? this.request.target;
  }

  /** When a worker began it; 0 where none has. */
  get begunAt(): number {
    // The answer may be whole, or its client gone, before the worker is done with it.
    if (this.#begunAt === 0 && this.#holder !== null) this.#noteBegin(this.#holder);
    return this.#begunAt;
  }

  /** What was asked for, by which requests that are alike are told. */
  get target(): string {
    return this.request.target;
  }

  get state(): ExchangeState {
    return this.#state;
  }

  /** True while what the worker says of it is for the client. */
  get isSent(): boolean {
    return this.#state === 'sent';
  }

  /** What the session that holds it calls it; 0 while none does. */
  get id(): number {
    return this.#id;
  }

  /** The session that holds it; null while none does. */
  get holder(): ExchangeHolder | null {
    return this.#holder;
  }

  /** receiving ► waiting: no worker is free. */
  wait(): void {
    this.#expect('queue', this.#state === 'receiving', 'receiving');
    this.#state = 'waiting';
  }

  /** receiving, waiting ► sent. */
  send(holder: ExchangeHolder, id: number): void {
    this.#expect('send', this.#state === 'receiving' || this.#state === 'waiting', 'receiving or waiting');
    this.#state = 'sent';
    if (this.observer !== null) this.#sentAt = performance.now();
    this.#holder = holder;
    this.#id = id;
  }

  /** sent ► waiting: its worker has not begun it, and another is to have it. */
  recall(): void {
    this.#expect('recall', this.#state === 'sent', 'sent');
    this.#state = 'waiting';
    this.#letGo();
  }

  /** sent ► detached: the client is gone, or the main thread writes the rest of the answer itself. */
  detach(): void {
    this.#expect('detach', this.#state === 'sent', 'sent');
    this.#state = 'detached';
    this.body.close();
  }

  /** receiving, waiting ► over: it is not wanted any more, and no worker has seen it. */
  drop(): void {
    this.#expect('drop', this.#state === 'receiving' || this.#state === 'waiting', 'receiving or waiting');
    this.#end();
  }

  /**
   * receiving, waiting ► over: it leaves with its connection, to be answered by another process. Null where it cannot: its
   * connection is not Lido's own, or it has a large body.
   */
  depart(): Departure | null {
    const body = this.body.asText();
    const departure = body === null ? null : (this.request.leave?.(body) ?? null);
    if (departure === null) return null;
    this.drop();
    this.onceDeparted();
    return departure;
  }

  /** Any state but over ► over: its worker is done with it or lost, or none will have it. The error is logged and answered. */
  finish(error: LidoError | null): void {
    this.#expect('finish', this.#state !== 'over', 'not over');
    if (this.observer !== null && this.#holder !== null) {
      this.#noteBegin(this.#holder);
      this.endedAt = performance.now();
    }
    this.#end();
    if (error !== null) this.fail(error);
  }

  /** receiving, waiting ► over. The log need not tell of each. */
  refuse(error: LidoError): void {
    this.drop();
    this.observer?.failed(this, error);
    this.#refusals.tell(error, this.log);
    this.#answer(error);
  }

  /** Logs what went wrong with the response, and tells the client in the one way that is left. */
  fail(error: LidoError): void {
    this.observer?.failed(this, error);
    this.#log(error);
    this.#answer(error);
  }

  /** A worker that runs one request after the other began this one when it was done with the last. */
  #noteBegin({ busySince, runsOne }: ExchangeHolder): void {
    this.#begunAt = runsOne ? Math.max(this.#sentAt, busySince) : this.#sentAt;
  }

  #end(): void {
    this.#state = 'over';
    this.#letGo();
    this.body.close();
  }

  #letGo(): void {
    this.body.takeBack();
    this.#holder = null;
    this.#id = 0;
  }

  #answer(error: LidoError): void {
    const { writer, body, request, webSocket } = this;
    if (webSocket !== null) {
      webSocket.close(INTERNAL_ERROR, '');
      return;
    }
    if (writer.state !== 'unstarted') {
      writer.abort();
      return;
    }
    if (!body.isWhole) writer.connection = 'close';
    const detail = this.#debug ? (error.traceback ?? error.message) : '';
    writer.writeError(error, buildErrorPage(error.status ?? 500, detail, request.prefersHtml));
  }

  #log({ code, message, traceback }: LidoError): void {
    const fields = { ...this.names, method: this.request.method, url: this.url, code };
    this.log.error(traceback === undefined ? fields : { ...fields, traceback }, message);
  }

  #expect(verb: string, holds: boolean, expected: string): void {
    if (!holds) throw new LidoError('LIDO_INVALID_TRANSITION', [verb, this.#state, expected]);
  }
}
