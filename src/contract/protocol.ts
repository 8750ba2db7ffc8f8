/**
 * Every message that crosses between the main thread and a worker, and the memory they share.
 *
 * A session is one worker's life. What crosses for each request lies in rings of shared memory (ring.ts):
 * - requests, to the worker: environ and body;
 * - bodies, to a Python worker: chunks of the body of the request that reads one;
 * - answers, from the worker: everything that it says of a request, in the order in which it says it.
 * The request port carries what has no room in a ring, wakes either thread's event loop, and tells of the session itself. The
 * control words carry what must be seen at once by a thread that is blocked. A JavaScript worker gets chunks of bodies on the
 * body port; where several requests run at once in it, it answers by messages: one slow client would hold up the others' blocks.
 *
 * A Python worker that runs an event loop, for ASGI, has one ring for all that it is told, in the place of the ring of requests.
 * Its loop watches a descriptor, to which the main thread writes while the loop says that it may be asleep.
 *
 * Messages are tuples: they cost structured clone less than a Uint8Array or a nested object does.
 */
import type { ErrorPayload } from './errors.js';
import {
  ACCEPT,
  BINARY,
  BLOCK,
  CANCEL,
  CLOSE,
  CLOSED,
  END,
  FILED_REQUEST,
  HEAD,
  LEFT,
  MESSAGE,
  PART,
  POSTED_REQUEST,
  RECORD_HEADER,
  REQUEST,
  RESPONSE,
  ROOM,
  SKIP,
  STREAMED_REQUEST,
  TEXT,
  WEBSOCKET,
  WHOLE,
} from './ring.js';

// ---- Messages -------------------------------------------------------------------------------------------

/** Main thread to worker, on the request port. */
export type ToWorker =
  /**
   * A request for which the ring has no room; posted before the ring says so in its place, POSTED_REQUEST.
   * `body` is the whole body as latin-1 text, or null when it comes in chunks, once 'read' asks for it.
   */
  | readonly [kind: 'request', id: number, environ: string, body: string | null]
  /** To a JavaScript worker that said that it sleeps: there is something in the ring of requests. */
  | readonly [kind: 'requests']
  /** To a JavaScript worker: finish what runs, then end the session; an application that has an end of its own, within so long. No request follows. */
  | readonly [kind: 'close', limitMs: number];

export type PostedRequest = Extract<ToWorker, readonly [kind: 'request', ...unknown[]]>;

/** Main thread to worker, on the body port: the next chunk of a request's body, or null for its end. */
export type BodyMessage = readonly [id: number, chunk: Uint8Array | null];

/** Worker to main thread, on the request port. */
export type FromWorker =
  /**
   * The application is loaded; sent once, first. `runtime` is for people: "Node.js 20.20.2", "CPython 3.11.7".
   * `thread` is Node's number of the worker's thread; `target` is null where there is no Python to interrupt. `bell` is the
   * descriptor that wakes a Python worker, the main thread's to close; null for another. `nativeThread` is the
   * system's number of the thread, 0 where nobody knows it. `hasEnd`: the application is told of its end, which may take a while.
   */
  | readonly [
      kind: 'ready',
      runtime: string,
      thread: number,
      target: InterruptTarget | null,
      bell: number | null,
      nativeThread: number,
      hasEnd: boolean,
    ]
  /** The application could not be loaded; sent instead of 'ready', and last. */
  | readonly [kind: 'failed', error: ErrorPayload]
  /** A whole response in one message; the request is over. A string body is latin-1 text, bytes go where there is no ring. */
  | readonly [kind: 'response', id: number, head: string, body: string | Uint8Array]
  /** The head, with the first block that was not empty. */
  | readonly [kind: 'head', id: number, head: string, block: string | Uint8Array]
  /** There is something in the ring of answers. Sent once until the main thread looks again. */
  | readonly [kind: 'answers']
  /** A further block; legal after 'head'. */
  | readonly [kind: 'block', id: number, block: string | Uint8Array]
  /**
   * The head, and a body that the main thread reads itself from an open file: `length` bytes from `position`. Sent
   * before any block; the worker keeps the descriptor open until it sees FILE_TAKEN, FILE_REFUSED, or the client gone.
   */
  | readonly [kind: 'file', id: number, head: string, fd: number, position: number, length: number]
  /** The iterable is exhausted, and its close() is about to run: the client need not wait for that. Before 'end'. */
  | readonly [kind: 'whole', id: number]
  /** The iterable is exhausted and closed; the request is over. */
  | readonly [kind: 'end', id: number]
  /** The application failed; the request is over. Before the head this is a 500, after it an aborted connection. */
  | readonly [kind: 'fail', id: number, error: ErrorPayload]
  /** The application reads for the first time: let the body flow, after `100 Continue` where the client waits for that. */
  | readonly [kind: 'read', id: number]
  /** Fields that may be of use to the client before the answer, as a head without its status line: 103. Of no effect behind 'head'. */
  | readonly [kind: 'hint', id: number, fields: string]
  /** Fields that follow the body, in the same form. After the last 'block', before 'end'. */
  | readonly [kind: 'trailers', id: number, fields: string]
  /**
   * So many bytes of the request's body were consumed, and as many more may be sent. Of a body in a file it is a sign that the
   * application is at work.
   */
  | readonly [kind: 'credit', id: number, bytes: number]
  /** The application accepts a WebSocket; the head is that of the answer. */
  | readonly [kind: 'accept', id: number, head: string]
  /** A message for a WebSocket's client, text as UTF-8; what is long goes ahead in parts. */
  | readonly [kind: 'message', id: number, isText: boolean, bytes: Uint8Array]
  | readonly [kind: 'part', id: number, bytes: Uint8Array]
  /** The application closes its WebSocket, or does not accept it. Before 'end'. */
  | readonly [kind: 'close', id: number, code: number, reason: string]
  /** A loop has taken all that lay in its ring, and there was more than that has room for. id 0. */
  | readonly [kind: 'room', id: number]
  /**
   * Lines written to wsgi.errors (level 'error'), or what the gateway has to say ('warn', 'info'). id 0: of no request.
   * `traceback` is several lines, of where something stood.
   */
  | readonly [
      kind: 'log',
      id: number,
      level: 'error' | 'warn' | 'info',
      text: string,
      fields?: Readonly<Record<string, string>>,
    ];

/** What Python needs to know to interrupt what a worker's thread runs. */
export interface InterruptTarget {
  /** Python's identity of the thread, as of threading.get_ident(). */
  readonly thread: number;
  /** Address of its PyThreadState. */
  readonly state: number;
  /** It has an interpreter of its own. */
  readonly isIsolated: boolean;
}

/** What Piscina hands to a worker when a session starts. */
export interface SessionStart {
  readonly requests: import('node:worker_threads').MessagePort;
  readonly bodies: import('node:worker_threads').MessagePort;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly rings: Rings;
  readonly settings: WorkerSettings;
  /** The number by which people speak of the worker. */
  readonly worker: number;
}

/** The memory of each ring; see ring.ts. */
export interface Rings {
  /** Of a worker that runs a loop in Python, all that it is told. */
  readonly requests: SharedArrayBuffer;
  /** Null where chunks come by messages, or with all else. */
  readonly bodies: SharedArrayBuffer | null;
  /** Null in a JavaScript worker where several requests run at once, whose blocks would be in one another's way. */
  readonly answers: SharedArrayBuffer | null;
}

/** What is the same for every session of a pool. */
export interface WorkerSettings {
  readonly application: ApplicationSpec;
  /** The environ's constant string keys, such as SERVER_SOFTWARE. */
  readonly constants: Readonly<Record<string, string>>;
  readonly multithread: boolean;
  readonly multiprocess: boolean;
  /** The application is asked once, and then ended. */
  readonly runOnce: boolean;
  /** Send tracebacks to clients. */
  readonly debug: boolean;
  /** Hold both sides to the protocol: lido/validator, or wsgiref.validate. */
  readonly validate: boolean;
  /** The time-out of a request in seconds, for the message that names it. */
  readonly timeout: number;
  /** Requests that may run at once in one worker; more than 1 only helps asynchronous applications. */
  readonly concurrency: number;
  /** Say of each request what it did with the GIL that all workers share: see MANNER. */
  readonly tellsManner: boolean;
  /** Say over the channel LOADED_FILES which files the application consists of. */
  readonly tellsFiles: boolean;
  /** By which a Python worker wakes the main thread; null for a JavaScript one, which has its port. */
  readonly waker: WakerRope | null;
  /** Somebody may want to know how large the heap is. */
  readonly tellsHeap: boolean;
  readonly output: OutputSettings;
}

/** What becomes of the application's standard output and standard error. */
export interface OutputSettings {
  /** It becomes lines of the log, which is JSON; otherwise it stays as it is. */
  readonly isCaptured: boolean;
  /** The descriptor that the log is written to. */
  readonly logFd: number;
}

/** The name of a BroadcastChannel within the process, for --reload: lists of absolute paths, from workers to the main thread. */
export const LOADED_FILES = 'lido:loaded-files';

/** Where the application is, found and checked by the main thread. */
export type ApplicationSpec =
  | {
      readonly runtime: 'javascript';
      readonly file: string;
      readonly callable: string | null;
      readonly spec: string;
    }
  | {
      readonly runtime: 'cpython';
      /** A dotted module name, to be imported with `path` in front of sys.path. */
      readonly module: string;
      readonly callable: string | null;
      readonly path: readonly string[];
      readonly spec: string;
      readonly python: PythonInstallation;
      readonly interpreter: 'shared' | 'isolated';
      /** 'auto' until the application is loaded, and shows which one it speaks. */
      readonly interface: 'auto' | PythonInterface;
      /** What an ASGI application's event loop is made by. */
      readonly loop: 'auto' | 'asyncio' | 'uvloop';
      /** By which Python's main thread keeps the application that all threads share; 0 before, and where each loads its own. */
      readonly shared: number;
    };

export type PythonInterface = 'wsgi' | 'asgi';

export type PythonSpec = Extract<ApplicationSpec, { runtime: 'cpython' }>;

/** What the main thread found out about the Python that was named. */
export interface PythonInstallation {
  /** The interpreter that was probed, inside the virtual environment where there is one. */
  readonly executable: string;
  /** What led to it, for people: "named by --python", "by $VIRTUAL_ENV". */
  readonly reason: string;
  /** For people: "3.11.7". */
  readonly version: string;
  readonly versionInfo: readonly [major: number, minor: number, micro: number];
  /** The shared library to load. */
  readonly libpython: string;
  readonly freeThreaded: boolean;
}

// ---- The environ on the wire ----------------------------------------------------------------------------

/**
 * The environ travels as one latin-1 string: its keys joined by NUL, an empty one, then its values joined by NUL.
 * Keys come first and together because the same client sends the same header names again and again:
 * the receiver looks the whole list of keys up in a cache. A NUL occurs in no legal header or target.
 */
export const KEYS_END = '\0\0';

/** The keys that come first, in each environ. */
export const FIXED_KEYS = [
  'REQUEST_METHOD',
  'SCRIPT_NAME',
  'PATH_INFO',
  'QUERY_STRING',
  'REQUEST_URI',
  'RAW_URI',
  'SERVER_NAME',
  'SERVER_PORT',
  'SERVER_PROTOCOL',
  'REMOTE_ADDR',
  // RFC 3875, section 4.1.9: the address stands in for a name that nobody looked up.
  'REMOTE_HOST',
  'REMOTE_PORT',
  'wsgi.url_scheme',
  'lido.request_id',
] as const;

// ---- The head on the wire -------------------------------------------------------------------------------

/**
 * A response's head travels as one latin-1 string: the status line without its version, then each field's name and value,
 * joined by LF, as in "200 OK\nContent-Type\ntext/plain". The worker's gateway has checked that no part has an LF in it,
 * so that the main thread takes it apart without looking again. Early hints and trailers travel alike, without a status line.
 */
export const HEAD_SEPARATOR = '\n';

// ---- Control words --------------------------------------------------------------------------------------

/** Session word of a Python worker without a loop: 1 once the session is to end, when all that was sent before is answered. */
export const CLOSING = 0;

/** Session word: how long the application takes for a request, in nanoseconds: a mean that the worker keeps up to date. */
export const SERVICE_TIME = 1;
/** So long a Python worker lets answers lie in the ring, at most, before it tells of them; and none where requests take longer. Nanoseconds. */
export const LONGEST_UNTOLD_NS = 2_000_000;

/**
 * Session words: two for each ring, bytes written to it since it was made, which only its writer stores, and bytes of it that
 * may be written over, which only its reader stores; modulo 2^32.
 */
export const REQUESTS_WRITTEN = 2;
export const REQUESTS_FREED = 3;
export const BODIES_WRITTEN = 4;
export const BODIES_FREED = 5;
export const ANSWERS_WRITTEN = 6;
export const ANSWERS_FREED = 7;

/** Session word: 1 from when a JavaScript worker says 'answers' until the main thread has heard that. Python has one for all its workers: WakerRope. */
export const TOLD = 8;
/** Session word: requests that the worker has claimed or passed over, in the order in which they were sent, modulo 2^32. */
export const CLAIMED = 9;

/**
 * Session word: 0 while a worker is awake. It stores how it is about to sleep, and then looks at the ring once more; the main
 * thread writes to the ring, and then looks at this word and wakes the worker: one of them always sees the other.
 */
export const SLEEPING = 10;
/** In an event loop: Node's, which a message wakes, or Python's, which its bell does. */
export const IN_LOOP = 1;
/** A worker without a loop waits within Python for its bell: a descriptor to which the main thread writes. */
export const AT_BELL = 2;
/** It has left Python, and waits on the word SLEEPING itself. */
export const OUTSIDE = 3;
/** Session word: 1 while more waits for a loop's ring than that has room for. The worker says 'room' once it has read it. */
export const IS_FULL = 11;
/**
 * Session words: how often the main thread has asked for a sign, and the last one that was answered: by a loop that it still goes
 * round, by any other Python worker that it has the GIL.
 */
export const ASKED = 12;
export const HEARD = 13;

/** Session words: V8's heap of a JavaScript worker, and the most that it may be, in KiB; 0 where nobody wants to know. */
export const HEAP_USED = 14;
export const HEAP_LIMIT = 15;
/** Session word: what a Python worker has waited for the GIL as it woke, in microseconds, modulo 2^32. */
export const GIL_WAIT = 16;
/** Session word: when a Python worker without a loop was woken last, in microseconds of the system's monotonic clock, modulo 2^32. */
export const RUNG = 18;

/**
 * Session word: 1 while more waits in a worker's loop than the ring of answers has room for. The worker stores it and then looks for
 * room once more; the main thread makes room and then looks at it, and says ROOM of no request.
 */
export const IS_HELD_UP = 17;

/** Session word: the last sign that a Python worker was asked for when the GIL was free: it had it at once, again and again. */
export const FOUND_FREE = 19;

const SESSION_WORDS = 20;
const SLOT_WORDS = 6;

/** A request's id holds its slot's index in the low bits and a count above them: a late message never finds its successor. */
export const SLOT_BITS = 10;
/** The same where a loop runs many requests, whose clients may stay for hours. */
export const LOOP_SLOT_BITS = 14;

/**
 * Slot word: the id of the request that is offered to the worker. While the main thread decides whether to take it back it
 * is -id, and 0 once it has. Only the main thread stores it, and only the worker stores CLAIMED: a worker that is Python has
 * no compare-and-swap. Each stores its own word and then looks at the other's, with a barrier in between:
 * - the worker counts CLAIMED up, then looks whether the request is still offered;
 * - the main thread withdraws the offer, then looks whether CLAIMED has come to the request. If so it offers it again.
 * Whoever comes second sees the first. Where both see each other the main thread gives way, and the worker waits for the few
 * instructions that this takes. The word holds the id itself, so that a request that was recalled is not mistaken for the
 * next one in its slot.
 */
export const OFFER = 0;
/** Slot word: counts everything that a blocked worker may be waiting for; each wait is on this word alone. */
export const SIGNAL = 1;
/** Slot word: bytes of the response that the socket has taken, modulo 2^32. */
export const ACKED = 2;
/** In place of bytes, the answer to 'file': the main thread has the file open itself, and sends it. */
export const FILE_TAKEN = 1;
/** The main thread could not open the file: the worker goes on with blocks. */
export const FILE_REFUSED = 2;
/** Slot word: the id of the request whose client is gone, or that is to stop for another reason. */
export const GONE = 3;
/**
 * Slot word: what the request did with the GIL, stored before its last message; 0 where nobody measured. The low 10 bits
 * are the share of its time for which it wanted the GIL, 1023 for all of it; above them, the microseconds it computed.
 */
export const MANNER = 4;
/**
 * Slot word: the id of the request whose task waits for a word above to change. Its loop stores it and then looks at that word;
 * the main thread changes the word and then looks here, and says ROOM.
 */
export const WAITS = 5;

/** The index of a slot's word in the control array. */
export function slotWord(slot: number, word: number): number {
  return SESSION_WORDS + slot * SLOT_WORDS + word;
}

/** The slot that a request's id names, save where a loop runs it. */
export function slotOf(id: number): number {
  return id & ((1 << SLOT_BITS) - 1);
}

/** Control words for a session of so many slots, all zero. */
export function allocateControl(slots: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer((SESSION_WORDS + slots * SLOT_WORDS) * 4));
}

/** Worker: takes the next request in the order of sending, or passes it over where it was recalled. Blocks for some instructions at most. */
export function claim(control: Int32Array, id: number): boolean {
  const word = slotWord(slotOf(id), OFFER);
  Atomics.add(control, CLAIMED, 1);
  while (Atomics.load(control, word) === -id) Atomics.wait(control, word, -id, 1);
  return Atomics.load(control, word) === id;
}

/** Main thread: true when the worker has claimed the request that was sent as the session's `number`th. */
export function isClaimed(control: Int32Array, number: number): boolean {
  return ((Atomics.load(control, CLAIMED) - number) | 0) >= 0;
}

/** Main thread: takes the request in this slot back unless the worker has claimed it. */
export function recall(control: Int32Array, slot: number, id: number, number: number): boolean {
  const word = slotWord(slot, OFFER);
  Atomics.store(control, word, -id);
  const isTaken = isClaimed(control, number);
  Atomics.store(control, word, isTaken ? id : 0);
  return !isTaken;
}

/** Wakes the worker if it is blocked on this slot. Call it after what it waits for has been stored or posted. */
export function signal(control: Int32Array, slot: number): void {
  const word = slotWord(slot, SIGNAL);
  Atomics.add(control, word, 1);
  Atomics.notify(control, word);
}

// ---- Sizes ----------------------------------------------------------------------------------------------

/** A body of a request up to this size, received whole, travels with the request as text. Bytes. */
export const INLINE_BODY_LIMIT = 64 * 1024;
/** A larger one up to this size does so as bytes, where there is room. Larger ones come in chunks: the application may not read them. Bytes. */
export const WHOLE_BODY_LIMIT = 256 * 1024;
/** Bytes of a request's body sent to the worker beyond what it has consumed. */
export const BODY_WINDOW = 512 * 1024;
/** The same where many requests run in one loop, for each of them. */
export const LOOP_BODY_WINDOW = 256 * 1024;
/** Bytes of a response that may be unacknowledged by the socket before the application blocks. */
export const RESPONSE_WINDOW = 768 * 1024;
/** The same where many requests run in one loop, for each of them. */
export const LOOP_WINDOW = 256 * 1024;
/** A worker that waits for the window is woken each time that so many more bytes are acknowledged, not for each block. A power of two. */
export const WINDOW_STEP = 256 * 1024;
/** Blocks larger than this are cut into pieces, so that the window means something. Bytes. */
export const MAX_BLOCK = 128 * 1024;
/** A response's head, as it travels, is no larger than this: a record has to fit into the ring beside others. Bytes. */
export const MAX_HEAD = 64 * 1024;
/** A file that is smaller is read by the worker: that is quicker than to let the main thread open it. Bytes. */
export const SMALL_FILE = 64 * 1024;
/** Blocks up to this size travel as latin-1 strings, larger ones as transferred buffers. Bytes. */
export const STRING_BLOCK_LIMIT = 16 * 1024;

/** Of a client's WebSocket, so much may wait for its application before the client is read no further. Bytes. */
export const WEBSOCKET_CREDIT = 256 * 1024;
/** A short message counts as so much: 32 of them may wait. Bytes. */
export const WEBSOCKET_MESSAGE_COST = WEBSOCKET_CREDIT / 32;
/** What a message to a client counts beside its bytes while it waits for that: empty ones take memory, too. */
export const WEBSOCKET_OVERHEAD = 128;

// ---- What Python gets of all this -------------------------------------------------------------------------

/** The numbers that both sides of the gateway for Python have to agree on: the module _lido.wire. */
export const WIRE = {
  SKIP,
  RESPONSE,
  HEAD,
  BLOCK,
  WHOLE,
  END,
  MESSAGE,
  REQUEST,
  STREAMED_REQUEST,
  POSTED_REQUEST,
  FILED_REQUEST,
  PART,
  LEFT,
  CANCEL,
  ROOM,
  CLOSE,
  WEBSOCKET,
  ACCEPT,
  TEXT,
  BINARY,
  CLOSED,
  RECORD_HEADER,
  REQUESTS_WRITTEN,
  REQUESTS_FREED,
  BODIES_WRITTEN,
  BODIES_FREED,
  ANSWERS_WRITTEN,
  ANSWERS_FREED,
  CLAIMED,
  SERVICE_TIME,
  LONGEST_UNTOLD_NS,
  CLOSING,
  SLEEPING,
  IN_LOOP,
  AT_BELL,
  GIL_WAIT,
  RUNG,
  IS_FULL,
  IS_HELD_UP,
  ASKED,
  HEARD,
  FOUND_FREE,
  OFFER,
  ACKED,
  GONE,
  MANNER,
  WAITS,
  FILE_TAKEN,
  FILE_REFUSED,
  SESSION_WORDS,
  SLOT_WORDS,
  SLOT_BITS,
  LOOP_SLOT_BITS,
  FIXED_KEYS,
  BODY_WINDOW,
  LOOP_BODY_WINDOW,
  RESPONSE_WINDOW,
  LOOP_WINDOW,
  WEBSOCKET_CREDIT,
  WEBSOCKET_MESSAGE_COST,
  WEBSOCKET_OVERHEAD,
  MAX_BLOCK,
  MAX_HEAD,
  SMALL_FILE,
  STRING_BLOCK_LIMIT,
} as const;

// ---- The Python host ------------------------------------------------------------------------------------

/** Main thread to the thread that holds Python's main thread state. Answers carry the token of what they answer. */
export type HostRequest =
  /** Start Python; comes first, and is answered with 'ready' or 'failed'. */
  | readonly [kind: 'begin', start: HostStart]
  /** Import the application and call its factory, once for all threads. */
  | readonly [kind: 'load', token: number, application: PythonSpec]
  /** Let go of an application; its modules stay. */
  | readonly [kind: 'unload', token: number, shared: number]
  /** List the files that the modules come from, save those of installed packages. */
  | readonly [kind: 'list', token: number]
  /** Raise LidoTimeout in the application that runs this request. */
  | readonly [kind: 'interrupt', token: number, target: InterruptTarget, request: number]
  /** Let Python's threads finish and its atexit handlers run. `status` ends the process after `seconds`; null leaves that. */
  | readonly [
      kind: 'end',
      token: number,
      limit: { readonly seconds: number; readonly status: number } | null,
    ];

/** What the host needs to know to start Python. */
export interface HostStart {
  readonly installation: PythonInstallation;
  readonly output: OutputSettings;
  /** One word: 1 as soon as an 'end' is done, for a main thread that can only wait. */
  readonly ended: Int32Array<SharedArrayBuffer>;
}

/** And back. */
export type HostMessage =
  /** `dump` is null where the system has no means for it. */
  | readonly [kind: 'ready', dump: StackDump | null, waker: WakerEnds]
  | readonly [kind: 'failed', error: ErrorPayload]
  /** `lines` are for the log. */
  | readonly [
      kind: 'loaded',
      token: number,
      shared: number,
      speaks: PythonInterface,
      lines: readonly string[],
    ]
  | readonly [kind: 'refused', token: number, error: ErrorPayload, lines: readonly string[]]
  | readonly [kind: 'unloaded', token: number]
  /** Absolute paths; none where no module has come since the last time. */
  | readonly [kind: 'listed', token: number, files: readonly string[]]
  | readonly [kind: 'ended', token: number]
  /** The request was told to stop, if it still ran; `stack` is where it stood, empty if it did not. */
  | readonly [kind: 'interrupted', token: number, stack: string];

/** The descriptors of the pipe by which workers wake the main thread. They last as long as the process. */
export interface WakerEnds {
  readonly read: number;
  readonly write: number;
}

/** How each worker wakes the main thread. */
export interface WakerRope {
  /** The end of the pipe that is written to. */
  readonly end: number;
  /** One word: 1 from when one of them writes to the pipe until the main thread has read that. Then it looks at the answers of all. */
  readonly told: Int32Array<SharedArrayBuffer>;
}

// ---- Looking at Python ----------------------------------------------------------------------------------

/** How the stacks of the first interpreter's threads are had although somebody keeps the GIL. */
export interface StackDump {
  /** This process sends itself this signal, and faulthandler writes them... */
  readonly signal: number;
  /** ...to the end of the file that is open as this descriptor. */
  readonly fd: number;
}

/** What a thread is started with that looks where the threads of one interpreter stand. */
export interface LookStart {
  readonly installation: PythonInstallation;
  /** The address of a PyThreadState of that interpreter; 0 for the process's first one. */
  readonly state: number;
}

/** Main thread to such a thread. It waits for the GIL as long as that is kept. */
export type LookRequest =
  | readonly [kind: 'stacks']
  /** Profile for so many seconds, or until `stop` is no longer 0; `worker` is the identity of the one thread, 0 for all. */
  | readonly [kind: 'profile', seconds: number, worker: number, stop: Int32Array<SharedArrayBuffer>];

/** And back. */
export type LookMessage =
  /** The thread is about to wait for the GIL. */
  | readonly [kind: 'asking']
  | readonly [kind: 'stacks', threads: readonly PythonThread[]]
  /** JSON of speedscope's file format. */
  | readonly [kind: 'profile', profile: string]
  /** It could not look; `reason` is for people. */
  | readonly [kind: 'failed', reason: string];

/** Where the task of a request waits, whose answer may be over. */
export interface PythonTask {
  /** What the session calls it. */
  readonly request: number;
  readonly requestId: string;
  readonly method: string;
  readonly url: string;
  readonly stack: string;
}

/** A thread that is in the midst of Python code. */
export interface PythonThread {
  /** Python's identity of it where it is a worker; 0 for others. */
  readonly worker: number;
  /** The request that the worker runs; 0 while it runs none, where it runs several, and for others. */
  readonly request: number;
  /** Those of requests, in a worker that runs several at once. */
  readonly tasks: readonly PythonTask[];
  /** For people: "MainThread", "Thread-1 (poll)"; '' for a worker, and where nobody named it. */
  readonly name: string;
  /** Python's frames as in a traceback, without Lido's own; '' where there are only those. */
  readonly stack: string;
}
