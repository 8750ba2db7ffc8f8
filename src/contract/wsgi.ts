/**
 * PEP 3333 as types, for applications and middleware written in JavaScript or TypeScript.
 *
 * Native strings of the PEP are JavaScript strings whose characters are all below U+0100 ("bytes as text");
 * bytes are Uint8Arrays (a Buffer is one).
 */

/** A block of the response's body. A string is an extension to PEP 3333: it is sent as UTF-8. */
export type Block = Uint8Array | string;

/** One header field, name and value. PEP 3333's `response_headers` is a list of these. */
export type Header = readonly [name: string, value: string];

/**
 * What goes wrong while a response is made. JavaScript has no exception triple: the error alone is handed
 * over, where PEP 3333 has `(type, value, traceback)`.
 */
export type ExcInfo = unknown;

/** Sends one block at once; only for code that cannot be an iterable. PEP 3333, "The write() Callable". */
export type Write = (block: Block) => void;

/**
 * Starts the response: `startResponse('200 OK', [['Content-Type', 'text/plain']])`.
 *
 * May be called again only with `excInfo`; once the head is on the wire that call throws `excInfo`.
 * Throws a TypeError that names the rule when the status or a header is malformed.
 * PEP 3333, "The start_response() Callable".
 */
export type StartResponse = (status: string, headers: readonly Header[], excInfo?: ExcInfo) => Write;

/** `wsgi.input`: the request's body. Every method blocks until the bytes are there. PEP 3333, "Input and Error Streams". */
export interface Input extends Iterable<Buffer>, AsyncIterable<Buffer> {
  /** At most `size` bytes, fewer only at the end of the body; all that is left without `size` or when it is negative. */
  read(size?: number): Buffer;
  /** One line with its `\n`, or its first `size` bytes; empty at the end of the body. */
  readline(size?: number): Buffer;
  /** The remaining lines; stops after the line with which `hint` bytes are reached. */
  readlines(hint?: number): Buffer[];
}

/** `wsgi.errors`: text that ends in the server's log, beside the request it belongs to. */
export interface ErrorStream {
  write(text: string): void;
  writelines(lines: Iterable<string>): void;
  flush(): void;
}

/** An open file or anything else that reads: what `wsgi.file_wrapper` takes. */
export interface FileLike {
  /** A file descriptor, when the file has one: Lido then sends the file itself. */
  readonly fd?: number;
  /** Where in the descriptor's file the body starts, in bytes; 0 unless it says otherwise. */
  readonly position?: number;
  /** How many bytes of the descriptor's file are sent; all that follow unless it says otherwise. */
  readonly length?: number;
  /** At most `size` bytes, empty or null at the end. Used where there is no descriptor. */
  read?(size: number): Uint8Array | null;
  /** Called once the response is over. */
  close?(): void;
}

/** `wsgi.file_wrapper(file, blockSize)`: an iterable over the file's blocks. PEP 3333, "Optional Platform-Specific File Handling". */
export type FileWrapper = (file: FileLike, blockSize?: number) => Iterable<Uint8Array>;

/**
 * Sends early hints, fields that may be of use to the client before the answer begins: status 103 of RFC 8297, to clients of
 * HTTP/1.1. May be called several times; does nothing once the first block is out. Throws where a field is malformed,
 * and says how.
 */
export type EarlyHints = (headers: readonly Header[]) => void;

/** The environ dictionary. CGI and `HTTP_*` keys hold strings; PEP 3333, "environ Variables". */
export interface Environ {
  REQUEST_METHOD: string;
  SCRIPT_NAME: string;
  PATH_INFO: string;
  QUERY_STRING: string;
  CONTENT_TYPE?: string;
  CONTENT_LENGTH?: string;
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_PROTOCOL: string;
  SERVER_SOFTWARE: string;
  REMOTE_ADDR: string;
  /** The same as REMOTE_ADDR: names are not looked up. */
  REMOTE_HOST: string;
  REMOTE_PORT: string;
  /** The request's target as it came, percent-encoding and all. */
  REQUEST_URI: string;
  /** The same as REQUEST_URI, under gunicorn's name for it. */
  RAW_URI: string;
  'wsgi.version': readonly [1, 0];
  'wsgi.url_scheme': 'http' | 'https';
  'wsgi.input': Input;
  'wsgi.errors': ErrorStream;
  'wsgi.multithread': boolean;
  'wsgi.multiprocess': boolean;
  'wsgi.run_once': boolean;
  /** The input ends where the body ends, whether or not CONTENT_LENGTH is there. */
  'wsgi.input_terminated': true;
  'wsgi.file_wrapper': FileWrapper;
  /** Known by gunicorn's name for it; no part of the PEP. */
  'wsgi.early_hints': EarlyHints;
  /** The request's id, as in the log. */
  'lido.request_id': string;
  /** A header field of the request: HTTP_ACCEPT_LANGUAGE. */
  [header: `HTTP_${string}`]: string | undefined;
  // What middleware adds.
  [key: string]: unknown;
}

/** What an application returns: an iterable of blocks, which may have a `close()` method. */
export type Result = Iterable<Block> & { close?(): void };

/** An extension to PEP 3333 for applications that wait: an async iterable of blocks, or a promise of either. */
export type AsyncResult =
  | (AsyncIterable<Block> & { close?(): void | Promise<void> })
  | Promise<Result | AsyncResult>;

/**
 * What a module may export as `startup` and `shutdown` beside its application. The first is called once in each worker
 * thread before its first request, and awaited; what it throws keeps the server from starting. The second is called behind the
 * thread's last request, and awaited for as long as `gracefulTimeout` leaves. An extension to PEP 3333, of ASGI's making.
 */
export type LifespanHook = () => unknown;

/** PEP 3333's application callable. */
export type Application = (environ: Environ, startResponse: StartResponse) => Result | AsyncResult;
