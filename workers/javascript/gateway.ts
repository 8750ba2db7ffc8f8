// Worker thread. [6] The server side of PEP 3333 for JavaScript applications, in wsgiref's order: call, iterate, close.
import { LidoError } from '../../src/contract/errors.js';
import type { FromWorker, SessionStart, WorkerSettings } from '../../src/contract/protocol.js';
import type { Application, Block, Environ } from '../../src/contract/wsgi.js';
import type { Runtime, WorkerRequest } from '../runtime.js';
import { EnvironDecoder } from './environ.js';
import { LogErrorStream } from './errors-stream.js';
import { FileBlocks } from './file-wrapper.js';
import { BodyInput } from './input.js';
import type { Lifespan } from './lifespan.js';
import type { CapturedOutput } from './output.js';
import { nameType, Response } from './response.js';
import { JavaScriptSession } from './session.js';

type Closable = { close?(): unknown };
type SyncResult = Iterable<Block> & Closable;
type AnyResult = SyncResult | (AsyncIterable<Block> & Closable);

/** Runs a JavaScript application. */
export class JavaScriptGateway implements Runtime {
  readonly description = `Node.js ${process.versions.node}`;
  readonly interruptTarget = null;
  readonly bell = null;
  readonly #application: Application;
  readonly #lifespan: Lifespan;
  readonly #environs: EnvironDecoder;
  /** Null where what the application prints stays as it is. */
  readonly #output: CapturedOutput | null;

  constructor(
    application: Application,
    lifespan: Lifespan,
    settings: WorkerSettings,
    output: CapturedOutput | null,
  ) {
    this.#output = output;
    this.#application = application;
    this.#lifespan = lifespan;
    this.#environs = new EnvironDecoder(settings);
  }

  /** Answers one request; a promise when the application is asynchronous. */
  handle(request: WorkerRequest): void | Promise<void> {
    const response = new Response(request.sender);
    const environ = this.#environs.decode(request.environ);
    const errors = new LogErrorStream(request.sender, this.#output);
    environ['wsgi.input'] = new BodyInput(request.body);
    environ['wsgi.errors'] = errors;
    environ['wsgi.early_hints'] = response.giveHints;
    const run = () => this.#run(environ, response);
    const pending = this.#output === null ? run() : this.#output.scope(environ['lido.request_id'], run);
    if (pending === undefined) return conclude(request, errors);
    return pending.then(() => conclude(request, errors));
  }

  get hasEnd(): boolean {
    return this.#lifespan.hasEnd;
  }

  async serve(start: SessionStart): Promise<void> {
    const leftMs = await new JavaScriptSession(start, (request) => this.handle(request)).serve();
    const failure = await this.#lifespan.stop(leftMs);
    if (failure !== null) start.requests.postMessage(['log', 0, 'error', failure] satisfies FromWorker);
  }

  close(): void {}

  #run(environ: Environ, response: Response): undefined | Promise<void> {
    try {
      const result: unknown = this.#application(environ, response.start);
      if (isThenable(result)) return this.#runAsync(result, response);
      if (isAsyncIterable(result)) return this.#runAsync(Promise.resolve(result), response);
      respond(checkIterable(result), response);
    } catch (error) {
      response.fail(error);
    }
    return undefined;
  }

  async #runAsync(promise: PromiseLike<unknown>, response: Response): Promise<void> {
    try {
      const result = await promise;
      if (isAsyncIterable(result)) await respondAsync(result, response);
      else await respondAsync(checkIterable(result), response);
    } catch (error) {
      response.fail(error);
    }
  }
}

/** PEP 3333, "Specification Details": send each block before the next is asked for, then close. */
function respond(result: SyncResult, response: Response): void {
  if (Array.isArray(result) && result.length <= 1 && !('close' in result)) {
    response.sendWhole(result);
    return;
  }
  try {
    if (!isSentAsFile(result, response)) {
      for (const block of result) {
        response.send(block);
        if (response.clientGone) break;
      }
    }
  } catch (error) {
    try {
      result.close?.();
    } finally {
      response.fail(error);
    }
    return;
  }
  if (result.close !== undefined) response.endBody();
  try {
    result.close?.();
  } catch (error) {
    response.reportCloseError(error);
  }
  finish(response);
}

async function respondAsync(result: AnyResult, response: Response): Promise<void> {
  try {
    if (!isSentAsFile(result, response)) {
      for await (const block of result) {
        await response.sendAsync(block);
        if (response.clientGone) break;
      }
    }
  } catch (error) {
    try {
      await result.close?.();
    } finally {
      response.fail(error);
    }
    return;
  }
  if (result.close !== undefined) response.endBody();
  try {
    await result.close?.();
  } catch (error) {
    response.reportCloseError(error);
  }
  finish(response);
}

function isSentAsFile(result: AnyResult, response: Response): boolean {
  return result instanceof FileBlocks && response.sendFile(result.file);
}

/** An iteration that was stopped because the client is gone need not have started a response. */
function finish(response: Response): void {
  if (response.clientGone) response.abandon();
  else response.end();
}

function conclude(request: WorkerRequest, errors: LogErrorStream): void {
  errors.flush();
  request.body.close();
}

function checkIterable(result: unknown): SyncResult {
  const iterable = result as SyncResult;
  // An empty one is an iterable without blocks, to the letter; of another one the blocks would be characters.
  if ((typeof result === 'string' || result instanceof Uint8Array) && result.length > 0)
    throw new LidoError('LIDO_RESULT_NOT_IN_LIST', [nameType(result), 'body']);
  if (result === null || result === undefined || typeof iterable[Symbol.iterator] !== 'function')
    throw new LidoError('LIDO_RESULT_NOT_ITERABLE', [nameType(result)]);
  return iterable;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Block> & Closable {
  return typeof (value as AsyncIterable<Block> | null)?.[Symbol.asyncIterator] === 'function';
}
