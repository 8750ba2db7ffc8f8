/** Main thread, under --reload. What is answered in place of an application that cannot be loaded: why, to whoever writes it. */
import { isIP } from 'node:net';
import type { LidoError } from '../contract/errors.js';
import { buildErrorPage } from '../http/error-page.js';
import type { HttpRequest } from '../http/request.js';
import type { RequestContext } from '../http/request-context.js';
import type { ResponseSink } from '../http/response-sink.js';
import { ResponseWriter } from '../http/response-writer.js';

type Handle = (request: HttpRequest, sink: ResponseSink, context?: RequestContext) => void;

const HIDDEN =
  'The application could not be loaded. Why is in the log; it is shown here to a browser on the same machine that asks for localhost, and with --debug to everybody.';

export class FailurePage {
  readonly #debug: boolean;
  readonly #sendTimeoutMs: number;
  #error: LidoError | null = null;

  constructor({ debug, sendTimeout }: { readonly debug: boolean; readonly sendTimeout: number }) {
    this.#debug = debug;
    this.#sendTimeoutMs = sendTimeout * 1000;
  }

  /** From now on every request is answered with it. */
  show(error: LidoError): void {
    this.#error = error;
  }

  /** The same as `handle` as long as nothing has failed. */
  guard(handle: Handle): Handle {
    return (request, sink, context) => {
      if (this.#error === null) handle(request, sink, context);
      else this.#answer(request, sink, this.#error);
    };
  }

  #answer(request: HttpRequest, sink: ResponseSink, error: LidoError): void {
    const writer = new ResponseWriter(sink, request.method, this.#sendTimeoutMs);
    // The next request is for the process that has what was mended.
    writer.connection = 'close';
    const detail = this.#debug || isOwnMachine(request) ? describeError(error) : HIDDEN;
    writer.writeError(error, buildErrorPage(error.status ?? 500, detail, request.prefersHtml));
  }
}

/** The error's own remedy is for whoever starts a server. */
function describeError({ code, message, traceback }: LidoError): string {
  const told = `${code} ${message}\nmend it and save: the next request gets what is new`;
  return traceback === undefined ? told : `${traceback.trimEnd()}\n\n${told}`;
}

/**
 * True for a program on this machine that asks for it by an address or as localhost, with no proxy in between: a page of any
 * site can have its own name point here (DNS rebinding), and a proxy on this machine asks for strangers.
 */
function isOwnMachine(request: HttpRequest): boolean {
  const { remoteAddress } = request.connection;
  const isLocal = remoteAddress === '' || /^(::ffff:)?127\.|^::1$/.test(remoteAddress);
  const isPassedOn = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some(
    (name) => request.field(name) !== undefined,
  );
  const name = (request.field('host') ?? '').replace(/:\d*$/, '').toLowerCase();
  const isNamed = /(^|\.)localhost$/.test(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
  return isLocal && !isPassedOn && isNamed;
}
