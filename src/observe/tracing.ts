/**
 * Main thread. A span for each request, by OpenTelemetry's API, which is loaded where tracing is on. What records spans and
 * sends them away is an SDK that the program, or `node --import`, has registered.
 */
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Context, Span, TextMapGetter, TextMapSetter, Tracer } from '@opentelemetry/api';
import { LidoError } from '../contract/errors.js';
import type { Connection } from '../http/connection.js';
import { keyOfField } from '../http/environ.js';
import type { HttpRequest } from '../http/request.js';
import type { Log } from '../log.js';
import { VERSION } from '../version.js';
import type { FinishedRequest } from './finished-request.js';
import { describeEnd, describeRequest, nameSpan } from './span-attributes.js';

type Api = typeof import('@opentelemetry/api');

/** Keys of the environ that hand a trace on. */
export type TraceEnviron = Readonly<Record<string, string>>;

/** What the SDK may take at the end to send what it still has. Milliseconds. */
const FLUSH_PATIENCE_MS = 2000;

const READ_FIELDS: TextMapGetter<HttpRequest> = {
  keys: ({ headers }) => Object.keys(headers),
  get: (request, name) => request.field(name.toLowerCase()),
};
const WRITE_KEYS: TextMapSetter<Record<string, string>> = {
  set: (environ, name, value) => {
    environ[keyOfField(name.toLowerCase())] = value;
  },
};

export class Tracing {
  readonly #api: Api;
  readonly #tracer: Tracer;

  /** For load(). */
  private constructor(api: Api) {
    this.#api = api;
    this.#tracer = api.trace.getTracer('lido', VERSION);
  }

  /** Rejects with LIDO_TRACING_NOT_INSTALLED. Warns where there is nothing that records. */
  static async load(log: Log): Promise<Tracing> {
    const tracing = new Tracing(await importApi());
    if (!tracing.#isRecorded) log.warn(NOT_RECORDED);
    return tracing;
  }

  /**
   * Begins the span of a request. It continues the trace that the request names where `isTrusted`, and belongs into the
   * span of a framework that Lido is embedded in, where there is one. `receivedAt` is performance.now().
   */
  begin(
    request: HttpRequest,
    url: string,
    client: Connection,
    receivedAt: number,
    isTrusted: boolean,
  ): RequestSpan {
    const { context, propagation, trace, SpanKind, ROOT_CONTEXT } = this.#api;
    const active = context.active();
    const isWithin = trace.getSpan(active)?.isRecording() === true;
    const told = isTrusted ? propagation.extract(ROOT_CONTEXT, request, READ_FIELDS) : ROOT_CONTEXT;
    const parent = isWithin ? active : told;
    const span = this.#tracer.startSpan(
      nameSpan(request.method),
      {
        kind: isWithin ? SpanKind.INTERNAL : SpanKind.SERVER,
        startTime: receivedAt,
        attributes: describeRequest(request, url, client),
      },
      parent,
    );
    return new RequestSpan(this.#api, span, this.#writeEnviron(request, trace.setSpan(parent, span)));
  }

  /** Lets the SDK send what it still has. Never rejects. */
  async flush(): Promise<void> {
    const provider = this.#api.trace.getTracerProvider() as FlushingProvider;
    const flushed = (provider.getDelegate?.() ?? provider).forceFlush?.();
    await Promise.race([flushed, sleep(FLUSH_PATIENCE_MS, undefined, { ref: false })]).catch(() => {});
  }

  /** A span that is never ended is never told of. */
  get #isRecorded(): boolean {
    const { isSpanContextValid, ROOT_CONTEXT } = this.#api;
    return isSpanContextValid(this.#tracer.startSpan('lido', {}, ROOT_CONTEXT).spanContext());
  }

  #writeEnviron(request: HttpRequest, context: Context): TraceEnviron {
    const environ: Record<string, string> = {};
    this.#api.propagation.inject(context, environ, WRITE_KEYS);
    // It belongs to the trace that the client named, and that is not continued.
    if (environ.HTTP_TRACEPARENT !== undefined && request.field('tracestate') !== undefined)
      environ.HTTP_TRACESTATE ??= '';
    return environ;
  }
}

/** The span of one request. */
export class RequestSpan {
  readonly #api: Api;
  readonly #span: Span;
  /** What the environ says of it, for the application to continue. */
  readonly environ: TraceEnviron;
  #error: LidoError | null = null;

  constructor(api: Api, span: Span, environ: TraceEnviron) {
    this.#api = api;
    this.#span = span;
    this.environ = environ;
  }

  /** Undefined where nothing records. */
  get traceId(): string | undefined {
    const context = this.#span.spanContext();
    return this.#api.isSpanContextValid(context) ? context.traceId : undefined;
  }

  /** The request failed; what is the client's fault is none of the server's errors. */
  fail(error: LidoError): void {
    if ((error.status ?? 500) < 500) return;
    this.#error ??= error;
    const { code: name, message, traceback } = error;
    this.#span.recordException(
      traceback === undefined ? { name, message } : { name, message, stack: traceback },
    );
  }

  /** Its answer is over. */
  end(request: FinishedRequest): void {
    const span = this.#span;
    span.setAttributes(describeEnd(request));
    const error = this.#findError(request);
    if (error !== null) {
      span.setAttribute('error.type', error);
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    }
    span.end(performance.now());
  }

  /** As the conventions have it: a 4xx is no error of a server. */
  #findError({ status }: FinishedRequest): string | null {
    if (this.#error !== null) return this.#error.code;
    return status >= 500 ? String(status) : null;
  }
}

interface FlushingProvider {
  forceFlush?(): Promise<void>;
  /** The API's own stands before the SDK's. */
  getDelegate?(): FlushingProvider;
}

const NOT_RECORDED =
  'tracing is on, and nothing records it: register an OpenTelemetry SDK, for example by node --import';

/** Lido's own, or else the project's: all copies share what is registered. */
async function importApi(): Promise<Api> {
  try {
    return await import('@opentelemetry/api');
  } catch (error) {
    const project = createRequire(`${process.cwd()}/`);
    try {
      return (await import(pathToFileURL(project.resolve('@opentelemetry/api')).href)) as Api;
    } catch {
      throw new LidoError('LIDO_TRACING_NOT_INSTALLED', [], { cause: error });
    }
  }
}
