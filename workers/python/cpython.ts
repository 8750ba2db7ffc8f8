// Worker thread. Runs a Python application: one kept thread state, two buffers, and the gateway written in Python.
import { type ErrorCode, LidoError, toPayload } from '../../src/contract/errors.js';
import {
  INLINE_BODY_LIMIT,
  type InterruptTarget,
  type PythonSpec,
  type WorkerSettings,
} from '../../src/contract/protocol.js';
import type { RequestBody } from '../request-body.js';
import type { Runtime, WorkerRequest } from '../runtime.js';
import type { Sender } from '../sender.js';
import {
  describeApplication,
  explainFailure,
  type Failure,
  GATEWAY_FOLDER,
  IMPORT_GATEWAY,
  MESSAGES,
} from './gateway-code.js';
import { type EnteredInterpreter, enterInterpreter, leaveInterpreter } from './interpreter.js';
import { type LibPython, openLibpython, type Pointer, type RegisteredCallback } from './libpython.js';

/** wire.py's constants: what the outbox holds, and what post() found. */
const [RESPONSE, HEAD, BLOCK, END, FAIL, LOG, READ, FILE, WHOLE] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const [OK, CLIENT_GONE] = [0, 1];

/** The first four 32-bit integers of each buffer. */
const HEADER = 16;
/** An environ that is larger makes the inbox grow. Bytes. */
const INBOX_SIZE = HEADER + INLINE_BODY_LIMIT + 64 * 1024;
/** A block that is larger is sent in pieces. Bytes. */
const OUTBOX_SIZE = HEADER + 128 * 1024;
/** The longest time that an integer of a header tells, in nanoseconds. */
const MAX_NS = 2 ** 31 - 1;
/** Blocks up to this size travel as text, larger ones as buffers of their own. Bytes. */
const TEXT_LIMIT = 16 * 1024;

/** Enters Python with this thread; an interpreter of its own loads the application here. Throws the LidoError that says why it could not be. */
export function loadCpython(
  settings: WorkerSettings,
  log: (level: 'error' | 'warn' | 'info', text: string) => void,
): Runtime {
  return new CpythonRuntime(settings, settings.application as PythonSpec, log);
}

/** An interpreter of its own ends with its worker, as a process does. */
const END_INTERPRETER = `part('.ending').end()\n`;
const FORGET = 'if worker: gateway.forget(worker)\n';

class CpythonRuntime implements Runtime {
  readonly description: string;
  readonly blocking = true;
  readonly interruptTarget: InterruptTarget;
  readonly #python: LibPython;
  readonly #entered: EnteredInterpreter;
  readonly #thread: Pointer;
  readonly #namespace: Pointer;
  readonly #post: RegisteredCallback;
  readonly #handle: Pointer;
  readonly #log: (level: 'error' | 'warn' | 'info', text: string) => void;
  #inbox = Buffer.alloc(INBOX_SIZE);
  #inboxInts = intsOf(this.#inbox);
  readonly #outbox = Buffer.alloc(OUTBOX_SIZE);
  readonly #outboxInts = intsOf(this.#outbox);
  #sender: Sender | null = null;
  #body: RequestBody | null = null;
  /** A chunk of the body that did not fit into the inbox at once. */
  #rest: Uint8Array | null = null;

  constructor(
    settings: WorkerSettings,
    spec: PythonSpec,
    log: (level: 'error' | 'warn' | 'info', text: string) => void,
  ) {
    this.description = `CPython ${spec.python.version} ${describeGil(spec)}`;
    this.#log = log;
    this.#python = openLibpython(spec.python);
    this.#entered = enterInterpreter(this.#python, spec.interpreter === 'isolated');
    this.#thread = this.#entered.thread;
    this.#namespace = this.#python.newNamespace();
    this.#post = this.#python.wrapCallback('post', () => this.#receivePost());
    try {
      this.#handle = this.#start(settings, spec);
    } catch (error) {
      this.#leave();
      throw error;
    }
    this.interruptTarget = {
      thread: (this.#outboxInts[2] as number) * 2 ** 31 + (this.#outboxInts[1] as number),
      state: this.#entered.isIsolated ? this.#entered.thread : 0,
    };
    this.#python.release();
  }

  handle({ id, environ, body, sender }: WorkerRequest): void {
    this.#sender = sender;
    this.#body = body;
    this.#rest = null;
    const grown = this.#writeRequest(id, environ, body.inline);
    const asked = performance.now();
    this.#python.acquire(this.#thread);
    this.#inboxInts[3] = Math.min((performance.now() - asked) * 1e6, MAX_NS);
    if (grown) this.#reconnect();
    const result = this.#python.callNoArguments(this.#handle);
    const escaped = result === 0 ? this.#python.takeError() : null;
    this.#python.release();
    sender.tellManner(this.#outboxInts[3] as number);
    if (escaped === null) this.#finish(sender);
    else sender.fail(toPayload(new LidoError('LIDO_APPLICATION_RAISED', [escaped])));
    body.close();
    this.#sender = null;
    this.#body = null;
  }

  /** Drops the thread state and with it the application's thread-local objects, such as connections to a database. */
  close(): void {
    this.#python.acquire(this.#thread);
    this.#leave();
  }

  /** Called with the GIL; gives it up for good. */
  #leave(): void {
    const python = this.#python;
    const code = this.#entered.isIsolated ? `${END_INTERPRETER}${FORGET}` : FORGET;
    if (!python.runCode(code, this.#namespace)) python.clearError();
    python.decref(this.#namespace);
    leaveInterpreter(python, this.#entered);
    this.#post.unregister();
  }

  #start(settings: WorkerSettings, spec: PythonSpec): Pointer {
    const python = this.#python;
    const details = {
      constants: settings.constants,
      multithread: settings.multithread,
      multiprocess: settings.multiprocess,
      run_once: settings.runOnce,
      isolated: this.#entered.isIsolated,
      tellsManner: settings.tellsManner,
      shared: spec.shared,
      ...describeApplication(spec),
      validate: settings.validate,
      timeout: settings.timeout,
      messages: MESSAGES,
    };
    python.setText(this.#namespace, 'settings_json', JSON.stringify(details));
    python.setAndDrop(this.#namespace, 'post', this.#post.callable);
    this.#connectBuffers();
    const code = `${IMPORT_GATEWAY}
import json
gateway = part('.gateway')
worker = gateway.start(json.loads(settings_json), post, inbox, outbox)
handle = worker and worker.handle
`;
    if (!python.runCode(code, this.#namespace))
      throw new LidoError('LIDO_LIBPYTHON_NOT_LOADED', [`${GATEWAY_FOLDER}: ${python.takeError()}`]);
    if (this.#outboxInts[0] === FAIL) throw this.#explainFailedLoad();
    return python.getItem(this.#namespace, 'handle');
  }

  #connectBuffers(): void {
    this.#python.setAndDrop(this.#namespace, 'inbox', this.#python.viewBuffer(this.#inbox, true));
    this.#python.setAndDrop(this.#namespace, 'outbox', this.#python.viewBuffer(this.#outbox, true));
  }

  #reconnect(): void {
    this.#connectBuffers();
    this.#python.runCode('worker.connect(post, inbox, outbox)\n', this.#namespace);
  }

  #explainFailedLoad(): LidoError {
    const size = this.#outboxInts[1] as number;
    return explainFailure(JSON.parse(this.#outbox.toString('utf8', HEADER, HEADER + size)) as Failure);
  }

  /** Returns true when the inbox had to grow, so that Python must be told of the new one. */
  #writeRequest(id: number, environ: string, body: string | null): boolean {
    const size = HEADER + environ.length + (body?.length ?? 0);
    const grows = size > this.#inbox.length;
    if (grows) {
      this.#inbox = Buffer.alloc(size);
      this.#inboxInts = intsOf(this.#inbox);
    }
    this.#inboxInts[0] = id;
    this.#inboxInts[1] = environ.length;
    this.#inboxInts[2] = body === null ? -1 : body.length;
    this.#inbox.write(environ, HEADER, 'latin1');
    if (body !== null && body !== '') this.#inbox.write(body, HEADER + environ.length, 'latin1');
    return grows;
  }

  /** Called by gateway.py in the middle of a request, with the GIL; waits without it. */
  #receivePost(): void {
    this.#inboxInts[0] = OK;
    try {
      this.#answerPost();
    } catch (error) {
      this.#inboxInts[0] = CLIENT_GONE;
      if (!(error instanceof LidoError)) this.#log('error', String(error));
    }
  }

  #answerPost(): void {
    const sender = this.#sender;
    const [kind, first = 0, second = 0] = this.#outboxInts;
    if (kind === LOG) {
      const text = this.#outbox.toString('utf8', HEADER, HEADER + first);
      if (sender === null) this.#log('error', text);
      else sender.log('error', text);
      return;
    }
    if (sender === null) throw new LidoError('LIDO_CLIENT_GONE');
    if (kind === READ) this.#readChunk();
    else if (kind === HEAD) sender.sendHead(this.#text(HEADER, first), this.#block(HEADER + first, second));
    else if (kind === BLOCK) sender.sendBlock(this.#block(HEADER, second), this.#withoutGil);
    else if (kind === WHOLE) sender.endBody();
    else if (kind === FILE) this.#inboxInts[1] = this.#leaveFile(sender, first, second) ? 1 : 0;
    if (sender.clientGone) this.#inboxInts[0] = CLIENT_GONE;
  }

  #leaveFile(sender: Sender, headSize: number, partSize: number): boolean {
    const part = this.#text(HEADER + headSize, partSize).split(' ');
    const [fd = 0, position = 0, length = 0] = part.map(Number);
    return sender.sendFile(this.#text(HEADER, headSize), { fd, position, length }, this.#withoutGil);
  }

  #readChunk(): void {
    const chunk = this.#rest ?? this.#withoutGil(() => this.#body?.nextChunk() ?? null);
    if (chunk === null) {
      this.#inboxInts[1] = 0;
      return;
    }
    const size = Math.min(chunk.byteLength, this.#inbox.length - HEADER);
    this.#inbox.set(chunk.subarray(0, size), HEADER);
    this.#rest = size < chunk.byteLength ? chunk.subarray(size) : null;
    this.#inboxInts[1] = size;
  }

  /** Other threads may run Python while this one waits. */
  readonly #withoutGil = <T>(wait: () => T): T => {
    this.#python.release();
    try {
      return wait();
    } finally {
      this.#python.acquire(this.#thread);
    }
  };

  #finish(sender: Sender): void {
    const [kind, first = 0, second = 0] = this.#outboxInts;
    if (kind === RESPONSE) sender.respond(this.#text(HEADER, first), this.#block(HEADER + first, second));
    else if (kind === FAIL) this.#fail(sender, first, second);
    else if (kind === END) sender.end();
  }

  #fail(sender: Sender, first: number, second: number): void {
    const [code, ...args] = this.#outbox.toString('utf8', HEADER, HEADER + first).split('\0');
    const traceback = this.#outbox.toString('utf8', HEADER + first, HEADER + first + second);
    sender.fail(toPayload(new LidoError(code as ErrorCode, args, { traceback })));
  }

  #text(start: number, size: number): string {
    return this.#outbox.toString('latin1', start, start + size);
  }

  /** Bytes are a view: the outbox is not written again before they are sent. */
  #block(start: number, size: number): string | Uint8Array {
    if (size <= TEXT_LIMIT) return this.#text(start, size);
    return this.#outbox.subarray(start, start + size);
  }
}

function describeGil({ python, interpreter }: PythonSpec): string {
  if (python.freeThreaded) return 'without a GIL';
  return interpreter === 'isolated' ? 'with a GIL for each thread' : 'with one GIL';
}

function intsOf(buffer: Buffer): Int32Array {
  return new Int32Array(buffer.buffer, buffer.byteOffset, HEADER / 4);
}
