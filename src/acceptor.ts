/** Main thread. [1] One request: gate, environ, dispatch, respond, clean up. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { type Connection, countAnswer, countRequest } from './connection.js';
import type { Dispatcher } from './dispatcher.js';
import { buildEnviron } from './environ.js';
import type { LidoError } from './errors.js';
import type { Exchange, ExchangeState } from './exchange.js';
import { checkRequest, type GateLimits } from './gate.js';
import { type BodyLimits, RequestBodySource } from './request-body.js';
import { ResponseWriter } from './response.js';
import type { Session } from './session.js';

export interface AcceptorOptions {
  readonly dispatcher: Dispatcher;
  readonly gate: GateLimits;
  readonly body: BodyLimits;
  /** Milliseconds that a client may take nothing of a response; 0 for no limit. */
  readonly sendTimeoutMs: number;
  /** Where the application is mounted: '' at the root. */
  readonly scriptName: string;
  readonly keepUnderscores: boolean;
  /** Send tracebacks to clients. */
  readonly debug: boolean;
  readonly log: Logger;
  /** Who is at the other end of a request's connection, seen through trusted proxies. */
  readonly connectionOf: (request: IncomingMessage) => Connection;
  /** A fresh id for the log and the environ. */
  readonly nextRequestId: () => string;
}

/** A body larger than this that was left unread is not worth reading to save the connection. Bytes. */
const MAX_DRAINED_BODY = 64 * 1024;

/** Handles requests for one application. */
export class Acceptor {
  readonly options: AcceptorOptions;

  constructor(options: AcceptorOptions) {
    this.options = options;
  }

  /** Takes a request from node:http, or from whatever speaks its interface. `extra` goes into the environ. */
  readonly handle = (
    request: IncomingMessage,
    response: ServerResponse,
    extra: Readonly<Record<string, string>> | null = null,
  ): void => {
    const refusal = checkRequest(request, this.options.gate);
    if (refusal !== null) {
      const writer = new ResponseWriter(response, this.options.sendTimeoutMs);
      countRequest(request, null);
      response.once('close', () => countAnswer(request));
      writer.closeAfterwards();
      writer.writeError(refusal.status, refusal.reason);
      return;
    }
    new RequestExchange(this.options, request, response, extra).begin();
  };
}

class RequestExchange implements Exchange {
  id = 0;
  readonly requestId: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly writer: ResponseWriter;
  readonly body: RequestBodySource;
  state: ExchangeState = 'receiving';
  session: Session | null = null;
  environ = '';
  readonly #options: AcceptorOptions;
  readonly #extra: Readonly<Record<string, string>> | null;

  constructor(
    options: AcceptorOptions,
    request: IncomingMessage,
    response: ServerResponse,
    extra: Readonly<Record<string, string>> | null,
  ) {
    this.#options = options;
    this.#extra = extra;
    this.requestId = options.nextRequestId();
    this.request = request;
    this.response = response;
    this.writer = new ResponseWriter(response, options.sendTimeoutMs);
    this.body = new RequestBodySource(request, options.body, (status) => this.#refuseBody(status));
  }

  begin(): void {
    countRequest(this.request, this.body.isWhole ? null : (status) => this.#failBody(status));
    this.response.once('close', this.#handleClose);
    if (this.body.shouldCollect) this.body.collect(() => this.#dispatch());
    else this.#dispatch();
  }

  conclude(error: LidoError | null): void {
    if (error === null) return;
    this.#log(error);
    if (this.writer.state === 'unstarted') this.#answerError(error);
    else this.writer.abort();
  }

  #dispatch(): void {
    const { connectionOf, keepUnderscores, scriptName } = this.#options;
    // Every key is written out: objects made by spreading get a hidden class each, which V8 then has to collect.
    this.environ = buildEnviron(this.request, connectionOf(this.request), {
      requestId: this.requestId,
      scriptName,
      keepUnderscores,
      contentLength: this.body.length > 0 && this.body.isWhole ? this.body.length : null,
      extra: this.#extra,
    });
    if (this.body.isLongerThan(MAX_DRAINED_BODY)) this.writer.closeUnless(() => this.body.isWhole);
    try {
      this.#options.dispatcher.dispatch(this);
    } catch (error) {
      this.state = 'over';
      this.#answerError(error as LidoError);
    }
  }

  #answerError(error: LidoError): void {
    const status = error.status ?? 500;
    const detail = this.#options.debug ? (error.traceback ?? error.message) : '';
    if (this.body.isUnread) this.writer.closeAfterwards();
    this.writer.writeError(status, detail, status === 503 ? { 'Retry-After': '1' } : {});
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
    this.writer.writeError(status, '');
    this.#giveUp();
  }

  /** The connection ended, or the response did; only the first leaves work to be undone. */
  readonly #handleClose = (): void => {
    countAnswer(this.request);
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
    const { method, url } = this.request;
    const fields = {
      requestId: this.requestId,
      method,
      url,
      code: error.code,
      ...(error.traceback === undefined ? {} : { traceback: error.traceback }),
    };
    this.#options.log.error(fields, error.message);
  }
}
