/** Main thread. What becomes of an application's requests, told to whoever wants to know: the access log, and the counts. */
import { LidoError } from '../contract/errors.js';
import type { Exchange, ExchangeObserver } from '../dispatch/exchange.js';
import type { Connection } from '../http/connection.js';
import type { Refusal } from '../http/gate.js';
import type { HttpRequest } from '../http/request.js';
import type { RequestContext } from '../http/request-context.js';
import type { RequestNames } from '../http/request-naming.js';
import type { ResponseWriter } from '../http/response-writer.js';
import type { AccessLog } from './access-log.js';
import { CLIENT_GONE, type FinishedRequest } from './finished-request.js';
import type { HookRunner } from './hook-runner.js';
import type { RequestSpan, TraceEnviron, Tracing } from './tracing.js';
import { Traffic } from './traffic.js';
import { findInEnviron } from './wire-environ.js';

export class ApplicationObserver implements ExchangeObserver {
  /** Where the application is mounted: '/' or '/shop'. */
  readonly mount: string;
  readonly traffic: Traffic;
  readonly #accessLog: AccessLog | null;
  /** Null where nobody traces. */
  tracing: Tracing | null = null;
  /** Of requests whose environ is built. */
  readonly #spans = new WeakMap<Exchange, RequestSpan>();
  readonly #hooks: HookRunner | null;
  /** Null where nobody wants to be told of each request. */
  readonly #requestHook: HookRunner | null;

  constructor(mount: string, accessLog: AccessLog | null, hooks: HookRunner | null = null) {
    this.mount = mount;
    this.#hooks = hooks;
    this.#requestHook = hooks?.has('onRequestEnd') === true ? hooks : null;
    this.traffic = new Traffic(mount);
    this.#accessLog = accessLog;
  }

  /** Its environ is about to be built: gives what that says of the request's trace; null where nobody traces. */
  begin(exchange: Exchange): TraceEnviron | null {
    if (this.tracing === null) return null;
    const { request, url, client, receivedAt, isTraceTrusted } = exchange;
    const span = this.tracing.begin(request, url, client, receivedAt, isTraceTrusted);
    this.#spans.set(exchange, span);
    exchange.traceId = span.traceId;
    return span.environ;
  }

  failed(exchange: Exchange, error: LidoError): void {
    const { requestId, request, url } = exchange;
    this.#spans.get(exchange)?.fail(error);
    this.traffic.fail(error, { requestId, method: request.method, url });
  }

  closed(exchange: Exchange): void {
    const request = new ObservedExchange(exchange, this.mount);
    // One whose body never came has no environ.
    if (!this.#spans.has(exchange)) this.begin(exchange);
    this.#spans.get(exchange)?.end(request);
    // How long a WebSocket stays open says nothing of how fast its application is.
    if (exchange.webSocket === null) this.traffic.time(request);
    this.#tell(request);
  }

  /** A request that no application saw; its answer is on its way. */
  refused(
    request: HttpRequest,
    { status, reason }: Refusal,
    writer: ResponseWriter,
    context: RequestContext,
    names: RequestNames,
  ): void {
    this.traffic.fail(new LidoError('LIDO_REQUEST_REFUSED', [reason], { status }), null);
    this.#tellOwn(request, writer, context, names, 0);
  }

  /** A file was sent in place of an application's answer, or its client is gone. */
  sentFile(
    request: HttpRequest,
    writer: ResponseWriter,
    context: RequestContext,
    names: RequestNames,
    durationMs: number,
  ): void {
    this.#tellOwn(request, writer, context, names, durationMs);
  }

  /** A connection was not let in: nobody knows what would have been asked. */
  turnedAway(error: LidoError): void {
    this.traffic.turnAway(error);
  }

  /** What came was no request: nobody knows what was asked. */
  refusedHead({ status, reason }: Refusal, client: Connection, requestId: string): void {
    this.traffic.fail(new LidoError('LIDO_REQUEST_REFUSED', [reason], { status }), null);
    const { remoteAddress } = client;
    this.#tell({ ...NO_REQUEST, requestId, mount: this.mount, remoteAddress, status });
  }

  #tellOwn(
    request: HttpRequest,
    writer: ResponseWriter,
    context: RequestContext,
    names: RequestNames,
    durationMs: number,
  ): void {
    const url = context.url ?? request.target;
    const client = context.connection ?? request.connection;
    const receivedAt = performance.now() - durationMs;
    const isTrusted = names.traceId !== undefined;
    const span = this.tracing?.begin(request, url, client, receivedAt, isTrusted);
    const { requestId, traceId = span?.traceId } = names;
    const own = { requestId, traceId, mount: this.mount, url, durationMs };
    const answer = new OwnAnswer(request, writer, client, own);
    span?.end(answer);
    this.#tell(answer);
  }

  /** A worker takes requests from now on; `thread` is Node's number of its thread. */
  workerStarted(thread: number): void {
    this.#hooks?.call('onWorkerStart', { pid: process.pid, mount: this.mount, thread });
  }

  /** A worker takes no more; `reason` is null where that was meant to be. */
  workerEnded(thread: number, reason: LidoError | null): void {
    const worker = { pid: process.pid, mount: this.mount, thread };
    this.#hooks?.call('onWorkerExit', { ...worker, reason: reason?.message ?? null });
  }

  #tell(request: FinishedRequest): void {
    this.traffic.count(request);
    this.#accessLog?.write(request);
    this.#requestHook?.requestEnded(request);
  }
}

const NO_REQUEST: FinishedRequest = {
  requestId: '',
  traceId: undefined,
  mount: '',
  method: '',
  url: '',
  httpVersion: '',
  remoteAddress: '',
  status: 0,
  isAnswered: true,
  bytesSent: 0,
  bytesReceived: 0,
  durationMs: 0,
  waitMs: 0,
  applicationMs: 0,
  requestField: () => undefined,
  responseField: () => undefined,
  environKey: () => undefined,
};

class ObservedExchange implements FinishedRequest {
  readonly mount: string;
  readonly durationMs: number;
  readonly waitMs: number;
  readonly applicationMs: number;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange, mount: string) {
    const { receivedAt, readyAt, begunAt, endedAt } = exchange;
    const now = performance.now();
    this.#exchange = exchange;
    this.mount = mount;
    this.durationMs = now - receivedAt;
    this.applicationMs = begunAt === 0 ? 0 : Math.max(0, (endedAt === 0 ? now : endedAt) - begunAt);
    this.waitMs = readyAt === 0 ? 0 : Math.max(0, (begunAt === 0 ? now : begunAt) - readyAt);
  }

  get requestId(): string {
    return this.#exchange.requestId;
  }

  get traceId(): string | undefined {
    return this.#exchange.names.traceId;
  }

  get method(): string {
    return this.#exchange.request.method;
  }

  get url(): string {
    return this.#exchange.url;
  }

  get httpVersion(): string {
    return this.#exchange.request.version;
  }

  get remoteAddress(): string {
    return this.#exchange.client.remoteAddress;
  }

  get status(): number {
    return this.#exchange.writer.status ?? CLIENT_GONE;
  }

  get isAnswered(): boolean {
    return this.#exchange.writer.status !== null;
  }

  get bytesSent(): number {
    return this.#exchange.webSocket?.bytesSent ?? this.#exchange.writer.written;
  }

  get bytesReceived(): number {
    return this.#exchange.webSocket?.bytesReceived ?? this.#exchange.body.received;
  }

  requestField(name: string): string | undefined {
    return this.#exchange.request.field(name);
  }

  responseField(name: string): string | undefined {
    return this.#exchange.writer.field(name);
  }

  environKey(key: string): string | undefined {
    return findInEnviron(this.#exchange.environ, key);
  }
}

/** No application had a part in it, so there is no environ. */
class OwnAnswer implements FinishedRequest {
  readonly requestId: string;
  readonly traceId: string | undefined;
  readonly mount: string;
  readonly url: string;
  readonly durationMs: number;
  readonly waitMs = 0;
  readonly applicationMs = 0;
  readonly bytesReceived = 0;
  readonly #request: HttpRequest;
  readonly #writer: ResponseWriter;
  readonly #client: Connection;

  constructor(
    request: HttpRequest,
    writer: ResponseWriter,
    client: Connection,
    own: Pick<FinishedRequest, 'requestId' | 'traceId' | 'mount' | 'url' | 'durationMs'>,
  ) {
    this.requestId = own.requestId;
    this.traceId = own.traceId;
    this.mount = own.mount;
    this.url = own.url;
    this.durationMs = own.durationMs;
    this.#request = request;
    this.#writer = writer;
    this.#client = client;
  }

  get method(): string {
    return this.#request.method;
  }

  get httpVersion(): string {
    return this.#request.version;
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress;
  }

  get status(): number {
    return this.#writer.status ?? CLIENT_GONE;
  }

  get isAnswered(): boolean {
    return this.#writer.status !== null;
  }

  get bytesSent(): number {
    return this.#writer.written;
  }

  requestField(name: string): string | undefined {
    return this.#request.field(name);
  }

  responseField(name: string): string | undefined {
    return this.#writer.field(name);
  }

  environKey(): undefined {
    return undefined;
  }
}
