/** Main thread. [1] One request: gate, body, environ, dispatch, clean up. */
import { describe, LidoError, traceOf } from '../contract/errors.js';
import type { PythonInterface as Interface } from '../contract/protocol.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { Exchange, type Substitute } from '../dispatch/exchange.js';
import type { RefusalLog } from '../dispatch/refusal-log.js';
import type { AnswerBuffering } from '../http/answer-buffer.js';
import type { Connection } from '../http/connection.js';
import { buildErrorPage } from '../http/error-page.js';
import type { GateLimits, Refusal } from '../http/gate.js';
import { answerRefusal } from '../http/refusal.js';
import type { HttpRequest } from '../http/request.js';
import { type BodyLimits, RequestBodySource } from '../http/request-body.js';
import { PLAIN_CONTEXT, type RequestContext } from '../http/request-context.js';
import { nameRequest, type RequestNaming } from '../http/request-naming.js';
import type { ResponseSink } from '../http/response-sink.js';
import { ResponseWriter } from '../http/response-writer.js';
import type { SpoolStore } from '../http/spool.js';
import { asksForWebSocket } from '../http/websocket/handshake.js';
import type { WebSockets } from '../http/websocket/websockets.js';
import type { Log } from '../log.js';
import type { ApplicationObserver } from '../observe/observer.js';

export interface AcceptorOptions {
  readonly dispatcher: Dispatcher;
  readonly gate: GateLimits;
  readonly body: BodyLimits;
  /** Where bodies and answers wait for their clients. */
  readonly store: SpoolStore;
  /** Null where a worker waits for its client. */
  readonly answers: AnswerBuffering | null;
  /** Milliseconds that a client may take nothing of a response; 0 for no limit. */
  readonly sendTimeoutMs: number;
  /** Send tracebacks to clients. */
  readonly debug: boolean;
  readonly log: Log;
  /** Who is at the other end of a request's connection, seen through trusted proxies. */
  readonly connectionOf: (request: HttpRequest) => Connection;
  /** True once the server is about to close. */
  readonly isDraining: () => boolean;
  /** The names of requests, for the log and the environ. */
  readonly naming: RequestNaming;
  /** Tells clients the ids of their requests. */
  readonly sendsRequestId: boolean;
  /** Where it is told that requests are refused. */
  readonly refusals: RefusalLog;
  /** Null where nobody wants to know what becomes of requests. */
  readonly observer: ApplicationObserver | null;
  /** Null where the application lets out no files by their names. */
  readonly substitute: Substitute | null;
  /** What the application speaks. */
  readonly speaks: Interface;
  /** Null where the application has none. */
  readonly webSockets: WebSockets | null;
}

/** A body larger than this that was left unread is not worth reading to save the connection. Bytes. */
const MAX_DRAINED_BODY = 64 * 1024;

/** Handles requests for one application. */
export class Acceptor {
  readonly options: AcceptorOptions;
  #unanswered = 0;
  #answered = 0;
  #whenAnswered: (() => void) | null = null;

  constructor(options: AcceptorOptions) {
    this.options = options;
  }

  /** Takes a request whose turn has come: all before it on its connection are answered. */
  readonly handle = (
    request: HttpRequest,
    sink: ResponseSink,
    context: RequestContext = PLAIN_CONTEXT,
  ): void => {
    const { gate, connectionOf } = this.options;
    const breach = request.check(gate);
    if (breach !== null) {
      this.#refuse(request, sink, context, breach);
      return;
    }
    const client = context.connection ?? connectionOf(request);
    const webSockets = this.#findWebSockets(request);
    const fault = webSockets?.findFault(request, client) ?? null;
    if (fault !== null) {
      this.#refuse(request, sink, context, fault);
      return;
    }
    this.#unanswered += 1;
    new Reception(
      this.options,
      request,
      client,
      sink,
      context,
      webSockets,
      this.#countAnswered,
      this.#countDeparted,
    ).begin();
  };

  /** An application that has none ignores who asks for one. RFC 9110, section 7.8. */
  #findWebSockets(request: HttpRequest): WebSockets | null {
    const { webSockets } = this.options;
    return webSockets !== null && asksForWebSocket(request) ? webSockets : null;
  }

  #refuse(request: HttpRequest, sink: ResponseSink, context: RequestContext, refusal: Refusal): void {
    const { naming, sendsRequestId, sendTimeoutMs, observer } = this.options;
    const names = nameRequest(naming, request, context.requestId);
    const requestId = sendsRequestId ? names.requestId : null;
    const writer = answerRefusal(request, sink, refusal, { sendTimeoutMs, requestId });
    observer?.refused(request, refusal, writer, context, names);
  }

  /** Requests whose answers are over, whole or not. */
  get answered(): number {
    return this.#answered;
  }

  /** Requests whose answers are not whole on their way, the worker may be done with them or not. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Resolves once every request is answered, to the last byte that the socket has to take, or its client is gone. */
  async whenAnswered(): Promise<void> {
    if (this.#unanswered === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenAnswered = resolve;
    });
  }

  readonly #countAnswered = (): void => {
    this.#answered += 1;
    this.#countDeparted();
  };

  readonly #countDeparted = (): void => {
    this.#unanswered -= 1;
    if (this.#unanswered === 0) this.#whenAnswered?.();
  };
}

/** Brings one request to the dispatcher, and ends what it began when its client is gone. */
class Reception {
  readonly #options: AcceptorOptions;
  readonly #context: RequestContext;
  readonly #exchange: Exchange;
  /** Told once, when the answer is over, whole or not. */
  readonly #closed: () => void;

  constructor(
    options: AcceptorOptions,
    request: HttpRequest,
    client: Connection,
    sink: ResponseSink,
    context: RequestContext,
    webSockets: WebSockets | null,
    closed: () => void,
    departed: () => void,
  ) {
    this.#options = options;
    this.#context = context;
    this.#closed = closed;
    this.#exchange = new Exchange({
      requestId: context.requestId ?? options.naming.idOf(request),
      naming: options.naming,
      log: context.log ?? options.log,
      request,
      url: context.url,
      client,
      writer: new ResponseWriter(
        sink,
        request.method,
        options.sendTimeoutMs,
        options.isDraining,
        options.answers,
      ),
      debug: options.debug,
      refusals: options.refusals,
      observer: options.observer,
      substitute: options.substitute,
      webSockets,
    });
    this.#exchange.onceDeparted = departed;
    if (options.sendsRequestId) this.#exchange.writer.addField(['X-Request-ID', this.#exchange.requestId]);
    // What an application receives behind its request's body is its client's end.
    if (options.speaks === 'asgi') sink.leaveWithClient?.();
    this.#exchange.body = new RequestBodySource(request, options.body, options.store, (error) =>
      this.#refuseBody(error),
    );
  }

  begin(): void {
    const { request, body, writer, webSockets } = this.#exchange;
    writer.onceClosed(this.#handleClose);
    const { budget } = this.#options.store;
    if (request.isBodyLost) this.#exchange.finish(new LidoError('LIDO_BODY_ALREADY_READ'));
    else if (webSockets !== null && this.#options.isDraining())
      this.#exchange.refuse(new LidoError('LIDO_SHUTTING_DOWN'));
    else if (budget.isSpent) this.#exchange.refuse(new LidoError('LIDO_BUFFERS_FULL', [budget.limit]));
    else if (body.shouldCollect) this.#collect();
    else this.#dispatch();
  }

  #collect(): void {
    const { body, writer } = this.#exchange;
    const obstacle = body.findObstacle();
    if (obstacle !== null) {
      this.#exchange.refuse(obstacle);
      return;
    }
    if (body.expectsContinue) writer.writeContinue();
    body.collect(() => this.#dispatch());
  }

  #dispatch(): void {
    const exchange = this.#exchange;
    exchange.readyAt = exchange.observer === null ? 0 : performance.now();
    try {
      exchange.environ = this.#buildEnviron();
      if (exchange.body.isLongerThan(MAX_DRAINED_BODY)) exchange.writer.connection = 'undecided';
      this.#options.dispatcher.dispatch(exchange);
    } catch (error) {
      if (error instanceof LidoError && exchange.state === 'receiving') exchange.refuse(error);
      else {
        // Nothing that a request may bring about: somebody has to hear of it.
        this.#options.dispatcher.giveUp(exchange);
        exchange.fail(asInternal(error));
      }
    }
  }

  #buildEnviron(): string {
    const { request, requestId, body, client } = this.#exchange;
    const { environ, scriptName, url } = this.#context;
    const trace = this.#options.observer?.begin(this.#exchange) ?? null;
    // Every key is written out: objects made by spreading get a hidden class each, which V8 then has to collect.
    return request.buildEnviron(client, {
      requestId,
      url,
      scriptName,
      contentLength: body.isWhole && request.bodyLength !== 0 ? body.received : null,
      extra: joinExtra(environ, client.tls, trace),
      separates: this.#options.speaks === 'asgi',
    });
  }

  /** The client broke off, sent what is no body, or one that cannot be kept: answered where that is still possible. */
  #refuseBody(error: LidoError): void {
    const { writer, request } = this.#exchange;
    this.#exchange.observer?.failed(this.#exchange, error);
    writer.connection = 'close';
    writer.writeError(error, buildErrorPage(error.status ?? 500, '', request.prefersHtml));
    this.#giveUp();
  }

  /** The connection ended, or the response did; only the first leaves work to be undone. */
  readonly #handleClose = (): void => {
    const { writer, body, observer } = this.#exchange;
    this.#closed();
    observer?.closed(this.#exchange);
    writer.abort();
    if (writer.state === 'complete') body.close();
    else this.#giveUp();
  };

  #giveUp(): void {
    const exchange = this.#exchange;
    exchange.body.close();
    this.#options.dispatcher.giveUp(exchange);
  }
}

function asInternal(error: unknown): LidoError {
  return new LidoError('LIDO_INTERNAL_ERROR', [describe(error)], {
    cause: error,
    traceback: traceOf(error),
  });
}

/** What whoever embeds Lido says goes before what Lido knows itself. */
function joinExtra(
  environ: RequestContext['environ'],
  tls: Readonly<Record<string, string>> | undefined,
  trace: Readonly<Record<string, string>> | null,
): RequestContext['environ'] {
  return tls === undefined && trace === null ? environ : { ...tls, ...trace, ...environ };
}
