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
import { Traffic } from './traffic.js';
import { findInEnviron } from './wire-environ.js';

export class ApplicationObserver implements ExchangeObserver {
  /** Where the application is mounted: '/' or '/shop'. */
  readonly mount: string;
  readonly traffic: Traffic;
  readonly #accessLog: AccessLog | null;

  constructor(mount: string, accessLog: AccessLog | null) {
    this.mount = mount;
    this.traffic = new Traffic(mount);
    this.#accessLog = accessLog;
  }

  failed(exchange: Exchange, error: LidoError): void {
    const { requestId, request, url } = exchange;
    this.traffic.fail(error, { requestId, method: request.method, url });
  }

  closed(exchange: Exchange): void {
    const request = new ObservedExchange(exchange, this.mount);
    this.traffic.time(request);
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
    this.#tell(new OwnAnswer(request, writer, context, names, this.mount, 0));
  }

  /** A file was sent in place of an application's answer, or its client is gone. */
  sentFile(
    request: HttpRequest,
    writer: ResponseWriter,
    context: RequestContext,
    names: RequestNames,
    durationMs: number,
  ): void {
    this.#tell(new OwnAnswer(request, writer, context, names, this.mount, durationMs));
  }

  /** What came was no request: nobody knows what was asked. */
  refusedHead({ status, reason }: Refusal, client: Connection, requestId: string): void {
    this.traffic.fail(new LidoError('LIDO_REQUEST_REFUSED', [reason], { status }), null);
    const { remoteAddress } = client;
    this.#tell({ ...NO_REQUEST, requestId, mount: this.mount, remoteAddress, status });
  }

  #tell(request: FinishedRequest): void {
    this.traffic.count(request);
    this.#accessLog?.write(request);
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
  bytesSent: 0,
  bytesReceived: 0,
  durationMs: 0,
  waitMs: 0,
  requestField: () => undefined,
  responseField: () => undefined,
  environKey: () => undefined,
};

class ObservedExchange implements FinishedRequest {
  readonly mount: string;
  readonly durationMs: number;
  readonly waitMs: number;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange, mount: string) {
    const { receivedAt, readyAt, begunAt } = exchange;
    const now = performance.now();
    this.#exchange = exchange;
    this.mount = mount;
    this.durationMs = now - receivedAt;
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

  get bytesSent(): number {
    return this.#exchange.writer.written;
  }

  get bytesReceived(): number {
    return this.#exchange.body.received;
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
  readonly bytesReceived = 0;
  readonly #request: HttpRequest;
  readonly #writer: ResponseWriter;
  readonly #connection: Connection;

  constructor(
    request: HttpRequest,
    writer: ResponseWriter,
    context: RequestContext,
    { requestId, traceId }: RequestNames,
    mount: string,
    durationMs: number,
  ) {
    this.durationMs = durationMs;
    this.requestId = requestId;
    this.traceId = traceId;
    this.mount = mount;
    this.url = context.url ?? request.target;
    this.#request = request;
    this.#writer = writer;
    this.#connection = context.connection ?? request.connection;
  }

  get method(): string {
    return this.#request.method;
  }

  get httpVersion(): string {
    return this.#request.version;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get status(): number {
    return this.#writer.status ?? CLIENT_GONE;
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
