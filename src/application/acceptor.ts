/** Main thread. [1] One request: gate, environ, dispatch, respond, clean up. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LidoError } from '../contract/errors.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Exchange, ExchangeState } from '../dispatch/exchange.js';
import type { Session } from '../dispatch/session.js';
import {
  awaitTurn,
  type Connection,
  countAnswer,
  countRequest,
  isBehindLast,
  type Turn,
} from '../http/connection.js';
import { buildEnviron } from '../http/environ.js';
import { checkRequest, type GateLimits } from '../http/gate.js';
import { answerRefusal } from '../http/refusal.js';
import { type BodyLimits, hasBody, RequestBodySource } from '../http/request-body.js';
import { PLAIN_CONTEXT, type RequestContext } from '../http/request-context.js';
import { ResponseWriter } from '../http/response-writer.js';
import type { Log } from '../log.js';

export interface AcceptorOptions {
  readonly dispatcher: Dispatcher;
  readonly gate: GateLimits;
  readonly body: BodyLimits;
  /** Milliseconds that a client may take nothing of a response; 0 for no limit. */
  readonly sendTimeoutMs: number;
  /** Send tracebacks to clients. */
  readonly debug: boolean;
  readonly log: Log;
  /** Who is at the other end of a request's connection, seen through trusted proxies. */
  readonly connectionOf: (request: IncomingMessage) => Connection;
  /** True once the server is about to close. */
  readonly isDraining: () => boolean;
  /** A fresh id for the log and the environ. */
  readonly nextRequestId: () => string;
}

/** A body larger than this that was left unread is not worth reading to save the connection. Bytes. */
const MAX_DRAINED_BODY = 64 * 1024;

/** Handles requests for one application. */
export class Acceptor {
  readonly options: AcceptorOptions;
  #unanswered = 0;
  #whenAnswered: (() => void) | null = null;

  constructor(options: AcceptorOptions) {
    this.options = options;
  }

  /** Takes a request from node:http, or from whatever speaks its interface. */
  readonly handle = (
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext = PLAIN_CONTEXT,
  ): void => {
    // The client may be gone since node:http told of the request: workers start, and a framework's hooks take their time.
    if (request.socket.destroyed) return;
    // Node may still tell of requests behind one whose answer ends the connection; who sent them may be in doubt.
    if (isBehindLast(request)) return;
    const refusal = checkRequest(request, this.options.gate);
    if (refusal !== null) answerRefusal(request, response, refusal, context, this.options.sendTimeoutMs);
    else {
      this.#unanswered += 1;
      new RequestExchange(this.options, request, response, context, this.#countAnswered).begin();
    }
  };

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
    this.#unanswered -= 1;
    if (this.#unanswered === 0) this.#whenAnswered?.();
  };
}

class RequestExchange implements Exchange, Turn {
  id = 0;
  readonly requestId: string;
  readonly log: Log;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly writer: ResponseWriter;
  readonly body: RequestBodySource;
  state: ExchangeState = 'receiving';
  session: Session | null = null;
  environ = '';
  readonly #options: AcceptorOptions;
  readonly #context: RequestContext;
  /** Told once, when the answer is over, whole or not. */
  readonly #closed: () => void;

  constructor(
    options: AcceptorOptions,
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext,
    closed: () => void,
  ) {
    this.#options = options;
    this.#context = context;
    this.#closed = closed;
    this.requestId = context.requestId ?? options.nextRequestId();
    this.log = context.log ?? options.log;
    this.request = request;
    this.response = response;
    this.writer = new ResponseWriter(response, options.sendTimeoutMs, context.host, options.isDraining);
    this.body = new RequestBodySource(request, options.body, (status) => this.#refuseBody(status));
  }

  begin(): void {
    countRequest(this.request, this.body.isWhole ? null : (status) => this.#failBody(status));
    // node:http drops, unseen, what follows in the same packet: the next request's start is in doubt.
    if (this.request.headers.upgrade !== undefined) this.writer.closeAfterwards();
    if (this.response.socket === null) awaitTurn(this.request, this.response, this);
    else this.takeTurn();
  }

  /** All before it on its connection are answered. */
  takeTurn(): void {
    this.response.once('close', this.#handleClose);
    // Its body may have turned out broken, or a framework may have answered it.
    if (this.state === 'over' || this.response.writableEnded) return;
    if (!this.body.isWhole && this.request.readableDidRead) this.#failRead();
    else if (this.body.shouldCollect) this.body.collect(() => this.#dispatch());
    else this.#dispatch();
  }

  loseTurn(): void {
    this.#handleClose();
  }

  conclude(error: LidoError | null): void {
    if (error === null) return;
    this.#log(error);
    if (this.writer.state === 'unstarted') this.#answerError(error);
    else this.writer.abort();
  }

  #dispatch(): void {
    const { connectionOf } = this.#options;
    const { connection, environ, scriptName, url } = this.#context;
    // Every key is written out: objects made by spreading get a hidden class each, which V8 then has to collect.
    this.environ = buildEnviron(this.request, connection ?? connectionOf(this.request), {
      requestId: this.requestId,
      url,
      scriptName,
      contentLength: this.body.isWhole && hasBody(this.request) ? this.body.length : null,
      extra: environ,
    });
    if (this.body.isLongerThan(MAX_DRAINED_BODY)) this.writer.closeUnless(() => this.body.isWhole);
    try {
      this.#options.dispatcher.dispatch(this);
    } catch (error) {
      this.state = 'over';
      this.#answerError(error as LidoError);
    }
  }

  /** Somebody in this process has read the body, or a part of it: it will not come again. */
  #failRead(): void {
    this.state = 'over';
    this.conclude(new LidoError('LIDO_BODY_ALREADY_READ'));
  }

  #answerError(error: LidoError): void {
    const detail = this.#options.debug ? (error.traceback ?? error.message) : '';
    if (this.body.isUnread) this.writer.closeAfterwards();
    this.writer.writeError(error, detail);
  }

  /** The parser found an error on this connection; true when it lies in this request's body. */
  #failBody(status: number): boolean {
    // `complete` is known at once, while the body's end is told later: the error may lie in the next request already.
    if (this.body.isWhole || this.request.complete) return false;
    this.#refuseBody(status);
    return true;
  }

  /** The client broke off, or sent what is no body: answered where that is still possible. */
  #refuseBody(status: number): void {
    this.writer.closeAfterwards();
    this.writer.writeError(new LidoError('LIDO_REQUEST_REFUSED', ['its body was not taken'], { status }), '');
    this.#giveUp();
  }

  /** The connection ended, or the response did; only the first leaves work to be undone. */
  readonly #handleClose = (): void => {
    countAnswer(this.request);
    this.#closed();
    this.writer.abort();
    if (this.state === 'over' || this.writer.state === 'complete') {
      this.body.close();
      return;
    }
    this.#giveUp();
  };

  #giveUp(): void {
    this.body.close();
    this.#options.dispatcher.giveUp(this);
    this.state = 'over';
  }

  #log(error: LidoError): void {
    const { method } = this.request;
    const url = this.#context.url ?? this.request.url;
    const fields = {
      requestId: this.requestId,
      method,
      url,
      code: error.code,
      ...(error.traceback === undefined ? {} : { traceback: error.traceback }),
    };
    this.log.error(fields, error.message);
  }
}
