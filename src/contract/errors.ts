/**
 * The one catalogue of Lido's errors. A code is never reused; docs/errors.md lists the same ones, and a test
 * holds the two together. `status` is the HTTP answer where a request is concerned, `exit` the command's exit
 * status where the command line is. `%s` stands for the arguments, in their order.
 */
interface CatalogueEntry {
  /** The table of docs/errors.md that it stands in. */
  readonly group: ErrorGroup;
  readonly status?: number;
  readonly exit?: number;
  readonly message: string;
  readonly remedy: string;
}

export const ERROR_GROUPS = [
  'Usage and settings',
  'Loading the application',
  'Python',
  'What the application did',
  'What befell the request',
] as const;

type ErrorGroup = (typeof ERROR_GROUPS)[number];

export const EXIT_CANNOT_LISTEN = 1;
export const EXIT_USAGE = 2;
export const EXIT_APPLICATION = 3;

export const catalogue = {
  // Usage and settings
  LIDO_NO_APPLICATION: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'no application was named',
    remedy:
      'name it as MODULE:CALLABLE, for example lido hello.js:application, or in lido.config.toml: application = "hello.js:application"',
  },
  LIDO_WRONG_SETTING: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s: %s',
    remedy: 'lido --help lists every option with what it takes',
  },
  LIDO_WRONG_OPTION: {
    group: 'Usage and settings',
    message: '%s: %s',
    remedy:
      'docs/settings.md tells what each option takes, docs/embedding.md which ones belong to the program',
  },
  LIDO_WRONG_COMMAND: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s: %s',
    remedy: 'lido --help shows how the command is written',
  },
  LIDO_CONFIG_NOT_FOUND: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'no config file %s',
    remedy: 'see what --config names; without it lido.config.{ts,mts,js,mjs,json,toml} is looked for',
  },
  LIDO_CONFIG_AMBIGUOUS: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'both %s are here',
    remedy: 'keep one, or name it with --config',
  },
  LIDO_CONFIG_KIND_UNKNOWN: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s is none of %s',
    remedy:
      'write the config file in one of these: TOML and JSON need no code; docs/from-gunicorn.md and docs/from-uwsgi.md say what becomes of each setting',
  },
  LIDO_CONFIG_MISNAMED: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s is here, which is not read: a config file is called lido.config.%s',
    remedy:
      'rename it, or name it with --config; where it is of something else, a config file beside it, even an empty one, says so',
  },
  LIDO_CONFIG_UNREADABLE: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s: %s',
    remedy: 'mend the config file where it is told, then start again',
  },
  LIDO_CONFIG_NOT_OBJECT: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s holds no object with settings',
    remedy: 'write one object, for example { "application": "hello.js" }; a module exports it as its default',
  },
  LIDO_NOT_IMPORTABLE: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s cannot be imported: %s',
    remedy: 'rename it, for example %s',
  },
  LIDO_MALFORMED_CALLABLE: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s names no callable',
    remedy: 'write a name, a dotted name, or a call with literals: create_app("production")',
  },
  LIDO_WRONG_CALL: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s: %s',
    remedy:
      "for example lido call hello.js:application GET '/path?query'; lido call --help lists every option",
  },
  LIDO_TRACING_NOT_INSTALLED: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'tracing is on, and the package @opentelemetry/api is not installed',
    remedy:
      'npm install @opentelemetry/api, and an SDK such as @opentelemetry/sdk-node; or leave --tracing out',
  },
  LIDO_NO_CGI_REQUEST: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'this is no request of a web server: %s',
    remedy: 'let a web server run lido cgi as a CGI script; for a request of your own there is lido call',
  },
  LIDO_AMBIGUOUS_APPLICATION: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'both %s and %s exist',
    remedy: 'say which one is meant with --runtime javascript or --runtime cpython',
  },
  LIDO_CANNOT_LISTEN: {
    group: 'Usage and settings',
    exit: EXIT_CANNOT_LISTEN,
    message: 'cannot listen on %s: %s',
    remedy: '%s',
  },

  LIDO_NO_STATIC_FOLDER: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: 'the folder %s for %s cannot be served: %s',
    remedy:
      'make it, for example by manage.py collectstatic, or name another with --static or --private-files',
  },
  LIDO_WRONG_CERTIFICATE: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s %s',
    remedy: 'name for each --certfile its --keyfile, in the same order, both as PEM that this user may read',
  },
  LIDO_NOT_WHILE_RUNNING: {
    group: 'Usage and settings',
    exit: EXIT_USAGE,
    message: '%s cannot change while the server runs: it is %s, and was to become %s',
    remedy: 'put it back, or stop the server and start it anew',
  },
  LIDO_NOT_PROFILED: {
    group: 'Usage and settings',
    exit: EXIT_CANNOT_LISTEN,
    message: 'no profile was taken: %s',
    remedy: 'lido top shows the processes and workers with their numbers',
  },
  LIDO_SUCCESSOR_FAILED: {
    group: 'Usage and settings',
    message: 'the command that was to take over %s',
    remedy: 'what it said stands above; mend that, and send SIGUSR2 again: this one serves on',
  },
  LIDO_ALREADY_RUNNING: {
    group: 'Usage and settings',
    exit: EXIT_CANNOT_LISTEN,
    message: '%s names process %s, which runs',
    remedy: 'stop that one, or give this one another --pidfile',
  },
  LIDO_FILE_NOT_WRITTEN: {
    group: 'Usage and settings',
    exit: EXIT_CANNOT_LISTEN,
    message: '%s could not be written: %s',
    remedy: 'let this user write there, or name another path',
  },
  LIDO_NOT_REACHED: {
    group: 'Usage and settings',
    exit: EXIT_CANNOT_LISTEN,
    message: 'no server answers at %s: %s',
    remedy:
      'start one with this --control-socket or --admin, or say where it is; a socket answers the user who runs the server alone',
  },

  // Loading the application
  LIDO_MODULE_NOT_FOUND: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: 'no module %s: looked for %s',
    remedy:
      'name a file (hello.js, hello.py) or a dotted Python module, seen from the working directory or from --chdir',
  },
  LIDO_IMPORT_FAILED: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s failed while %s imported it',
    remedy: 'mend what the traceback above shows, then start again',
  },
  LIDO_TAKEN_FOR_COMMONJS: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s is an ES module, and its package.json says "type": "commonjs"',
    remedy: 'name the file .mjs, or say "type": "module" there',
  },
  LIDO_CALLABLE_NOT_FOUND: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s has no %s',
    remedy: 'export it, or name another callable after the colon; it has: %s',
  },
  LIDO_NOT_CALLABLE: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s is %s, not callable',
    remedy: 'a WSGI application is a callable that takes environ and start_response',
  },
  LIDO_OTHER_ARGUMENTS: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s takes %s, and is called with environ and start_response',
    remedy: 'where it makes the application, write the call, such as shop:create_app(), or say --factory',
  },
  LIDO_ASGI_APPLICATION: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s is an ASGI application, and was to be served as WSGI',
    remedy: 'leave out --interface wsgi, or say --interface asgi',
  },
  LIDO_WSGI_APPLICATION: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s was to be served as ASGI, and is none of its applications: %s',
    remedy:
      'leave out --interface asgi, or name the ASGI application: a coroutine function of scope, receive and send',
  },
  LIDO_LOOP_NOT_FOUND: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: 'the event loop that --loop names is not there: %s',
    remedy: 'install uvloop beside the application, or leave out --loop: asyncio is there always',
  },
  LIDO_STARTUP_FAILED: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: 'the application cannot start: %s',
    remedy: 'mend what its startup tells of',
  },
  LIDO_HOOK_NOT_CALLABLE: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s exports as %s %s, not a function',
    remedy:
      'startup and shutdown are called once in each worker: export functions, or name what you have otherwise',
  },
  LIDO_COROUTINE_FUNCTION: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s is asynchronous: what it returns is no response, but has to be awaited',
    remedy: 'make it a plain function (def), and run what is asynchronous within it by asyncio.run()',
  },
  LIDO_ENDED_WHILE_LOADING: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: 'the worker ended while it loaded %s: %s',
    remedy: 'an application must not exit or exhaust memory while it is imported',
  },
  LIDO_NO_THREADS: {
    group: 'Loading the application',
    message: 'the system seems to give Node.js no more threads or processes: %s',
    remedy:
      "raise what limits them (ulimit -u, TasksMax of systemd, a container's limit of pids) or its memory, or take fewer processes and threads",
  },
  LIDO_FACTORY_FAILED: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: 'the factory %s failed',
    remedy: 'mend what the traceback above shows, then start again',
  },
  LIDO_GREENLETS_FOR_THREADS: {
    group: 'Loading the application',
    exit: EXIT_APPLICATION,
    message: '%s lets gevent put greenlets in the place of threads',
    remedy: "call monkey.patch_all(thread=False), or leave it out: Lido's threads wait side by side",
  },

  // Python
  LIDO_PYTHON_NOT_FOUND: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'no Python found: tried %s',
    remedy: 'name an interpreter or a virtual environment with --python',
  },
  LIDO_VIRTUAL_ENV_DEAD: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'the virtual environment %s has no Python: looked for %s',
    remedy: 'make it anew, unset $VIRTUAL_ENV where that names it, or name an interpreter with --python',
  },
  LIDO_PYTHON_NOT_RUNNABLE: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: '%s could not be run: %s',
    remedy: 'name an interpreter or a virtual environment with --python',
  },
  LIDO_LIBPYTHON_NOT_FOUND: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: '%s (Python %s) has no shared library; looked for %s',
    remedy: 'install %s, or use a Python built with --enable-shared',
  },
  LIDO_PYTHON_UNSUPPORTED: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'Python %s is not supported',
    remedy: 'Lido runs CPython 3.9 and later; name another with --python',
  },
  LIDO_PYTHON_WITHOUT_STACK_PROTECTION: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'this Python %s lacks %s, without which it leaks every object on a foreign stack',
    remedy: 'use 3.13 or earlier, or a 3.14 release that has it',
  },
  LIDO_LIBPYTHON_NOT_LOADED: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'libpython could not be loaded: %s',
    remedy: 'check that the library matches this machine and the interpreter that was probed',
  },
  LIDO_WRONG_THREAD: {
    group: 'Python',
    status: 500,
    message: "a WSGI callable was used from a thread that is not its request's: %s",
    remedy: 'start_response, write, wsgi.input and wsgi.errors belong to the thread that runs the request',
  },
  LIDO_OTHER_PYTHON_LOADED: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'a process holds one CPython: %s was asked for, %s is loaded',
    remedy: 'use the same Python for every application, or separate processes',
  },
  LIDO_PYTHON_NOT_RELOADABLE: {
    group: 'Python',
    message: '%s cannot be loaded anew: Python keeps its modules for as long as the process lives',
    remedy: 'start a new process before the old one is stopped',
  },
  LIDO_ISOLATION_UNSUPPORTED: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'Python %s gives interpreters no GIL of their own that could be relied on',
    remedy: 'use CPython 3.13 or later, or leave --python-interpreter at shared and use --processes',
  },
  LIDO_INTERPRETER_NOT_MADE: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: 'Python made no interpreter: %s',
    remedy: 'leave --python-interpreter at shared and use --processes',
  },
  LIDO_MODULE_REFUSES_ISOLATION: {
    group: 'Python',
    exit: EXIT_APPLICATION,
    message: '%s needs %s, which cannot be loaded by an interpreter with a GIL of its own',
    remedy: 'leave --python-interpreter at shared, and use --processes for more cores',
  },
  LIDO_FRAMES_OF_OTHERS: {
    group: 'Python',
    message: 'sys.%s() reaches into the interpreters of other threads and corrupts their memory',
    remedy: 'use faulthandler.dump_traceback() or sys._getframe(), or leave --python-interpreter at shared',
  },

  // What the application did
  LIDO_APPLICATION_RAISED: {
    group: 'What the application did',
    status: 500,
    message: 'the application raised %s',
    remedy: 'mend what the traceback shows',
  },
  LIDO_RESPONSE_NOT_STARTED: {
    group: 'What the application did',
    status: 500,
    message: 'the application did not call start_response before the first block',
    remedy: 'call start_response(status, headers) before the iterable yields its first non-empty block',
  },
  LIDO_ASGI_MESSAGE: {
    group: 'What the application did',
    status: 500,
    message: 'the application sent %s, which ASGI has not there: %s',
    remedy: 'hold it to the specification at asgi.readthedocs.io',
  },
  LIDO_RESPONSE_NOT_WHOLE: {
    group: 'What the application did',
    status: 500,
    message: 'the ASGI application returned before %s',
    remedy: 'send http.response.start, and http.response.body with more_body false at the end',
  },
  LIDO_RESPONSE_STARTED_TWICE: {
    group: 'What the application did',
    status: 500,
    message: 'start_response was called a second time without exc_info',
    remedy: 'pass exc_info to replace a head that was not sent yet',
  },
  LIDO_MALFORMED_STATUS: {
    group: 'What the application did',
    status: 500,
    message: 'malformed status %s',
    remedy: 'a status is three digits, a space and a reason: "200 OK"',
  },
  LIDO_MALFORMED_HEADER: {
    group: 'What the application did',
    status: 500,
    message: 'malformed header %s',
    remedy: 'a header is a pair of native strings: a token, and text without control characters',
  },
  LIDO_HOP_BY_HOP_HEADER: {
    group: 'What the application did',
    status: 500,
    message: 'hop-by-hop header %s',
    remedy: "the connection is the server's: leave Connection, Transfer-Encoding and their like out",
  },
  LIDO_FORBIDDEN_TRAILER: {
    group: 'What the application did',
    status: 500,
    message: '%s comes too late in a trailer',
    remedy:
      'send it with http.response.start: what frames, routes, describes or authenticates a message belongs in its head (RFC 9110, section 6.5.1)',
  },
  LIDO_BLOCK_NOT_BYTES: {
    group: 'What the application did',
    status: 500,
    message: 'a block is %s, not bytes',
    remedy:
      'encode text before it is returned, for example text.encode("utf-8"); in JavaScript give strings or Uint8Arrays: JSON.stringify(value), await promise',
  },
  LIDO_RESULT_NOT_ITERABLE: {
    group: 'What the application did',
    status: 500,
    message: 'the application returned %s, which is not iterable',
    remedy: 'return an iterable of bytes, for example [body]',
  },
  LIDO_RESULT_NOT_IN_LIST: {
    group: 'What the application did',
    status: 500,
    message: 'the application returned %s, not an iterable of blocks: each of its characters would be one',
    remedy: 'return a list: return [%s]',
  },
  LIDO_MALFORMED_CONTENT_LENGTH: {
    group: 'What the application did',
    status: 500,
    message: 'malformed Content-Length %s',
    remedy: 'one Content-Length, in decimal digits, equal to the bytes of the body',
  },
  LIDO_BODY_TOO_SHORT: {
    group: 'What the application did',
    status: 500,
    message: 'the body is shorter than its Content-Length: %s of %s bytes',
    remedy: 'let Content-Length say how many bytes follow, or leave it out',
  },
  LIDO_BODY_TOO_LONG: {
    group: 'What the application did',
    message: 'the body is longer than its Content-Length of %s bytes; the rest was cut off',
    remedy: 'let Content-Length say how many bytes follow, or leave it out',
  },
  LIDO_FILE_NOT_LET_OUT: {
    group: 'What the application did',
    status: 500,
    message: 'the application answered with %s: %s, but %s',
    remedy: 'name a file in one of the folders that privateFiles has, which the application may let out',
  },
  LIDO_FILE_NOT_READABLE: {
    group: 'What the application did',
    status: 500,
    message: 'the file that was given to wsgi.file_wrapper could not be read: %s',
    remedy: 'give a regular file that stays readable until the response is over',
  },

  // What befell the request
  LIDO_BACKLOG_FULL: {
    group: 'What befell the request',
    status: 503,
    message: 'the backlog is full',
    remedy: 'raise --backlog, add threads, or let the load balancer try elsewhere',
  },
  LIDO_WAITED_TOO_LONG: {
    group: 'What befell the request',
    status: 503,
    message: 'the request has waited for a worker for %s s',
    remedy: 'add threads or processes, or raise --backlog-timeout',
  },
  LIDO_TOO_MANY_CONNECTIONS: {
    group: 'What befell the request',
    status: 503,
    message: 'there are %s connections already',
    remedy: 'raise --max-connections if the machine has room, or let the load balancer try elsewhere',
  },
  LIDO_NO_DESCRIPTORS: {
    group: 'What befell the request',
    status: 503,
    message:
      '%s of the %s descriptors that this process may have are in use, and the rest is kept for files: raise ulimit -n, or set --max-connections',
    remedy:
      'raise the limit (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of a container), set --max-connections below it, or mend what the application leaves open',
  },
  LIDO_TOO_MANY_FROM_ADDRESS: {
    group: 'What befell the request',
    status: 429,
    message: 'there are %s connections from %s already',
    remedy:
      'nothing: the client has to use fewer; raise --max-connections-per-address where many share one address',
  },
  LIDO_TIMED_OUT: {
    group: 'What befell the request',
    status: 504,
    message: 'the application took longer than %s s',
    remedy: 'raise --timeout, or mend what keeps it: the log shows where it stood, or why that is not known',
  },
  LIDO_SLOW_REQUEST: {
    group: 'What befell the request',
    message: 'the application has taken longer than %s s',
    remedy: 'nothing is done about it: --slow-request says from when on the log shows where a request stands',
  },
  LIDO_PYTHON_STUCK: {
    group: 'What befell the request',
    status: 503,
    message: 'Python is stuck: %s',
    remedy:
      'give what it calls there a time-out of its own; the process can only be replaced, which a supervisor does',
  },
  LIDO_LOOP_HELD_UP: {
    group: 'What befell the request',
    message: 'an event loop stood still for %s s, and with it all requests of its worker',
    remedy:
      'let what blocks run in a thread (asyncio.to_thread, a plain def in FastAPI), or await it: the log shows where it stood',
  },
  LIDO_WORKER_DIED: {
    group: 'What befell the request',
    status: 500,
    message: 'the worker died: %s',
    remedy: 'the log shows why; other requests went on',
  },
  LIDO_MESSAGE_OUT_OF_ORDER: {
    group: 'What befell the request',
    status: 500,
    message: "the worker said '%s' where the main thread expected %s",
    remedy: 'this is a mistake of Lido: please report it, with the log around it',
  },
  LIDO_SHUTTING_DOWN: {
    group: 'What befell the request',
    status: 503,
    message: 'the server is shutting down',
    remedy: 'try again: another process answers',
  },
  LIDO_CLIENT_GONE: {
    group: 'What befell the request',
    message: 'the client is gone',
    remedy: 'nothing: its request was ended',
  },
  LIDO_NO_WORKER: {
    group: 'What befell the request',
    status: 503,
    message: 'no worker could be started: %s',
    remedy: 'the log shows why; it is tried again with growing pauses',
  },
  LIDO_REQUEST_REFUSED: {
    group: 'What befell the request',
    status: 400,
    message: 'the request was refused: %s',
    remedy: 'nothing: the client has to mend it',
  },
  LIDO_BUFFERS_FULL: {
    group: 'What befell the request',
    status: 503,
    message: 'requests and answers hold all the memory that they may: %s bytes',
    remedy: 'raise --buffer-budget if the machine has more, or let the load balancer try elsewhere',
  },
  LIDO_BUFFER_FILE_FAILED: {
    group: 'What befell the request',
    status: 503,
    message: 'what is too large for memory cannot be kept in a file in %s: %s',
    remedy: 'make room there, or name another directory with --buffer-directory',
  },
  LIDO_BUFFER_DISK_FULL: {
    group: 'What befell the request',
    status: 503,
    message: 'temporary files have all the bytes that they may: %s',
    remedy: 'raise --buffer-disk if the disk has more, or let the load balancer try elsewhere',
  },
  LIDO_BODY_ALREADY_READ: {
    group: 'What befell the request',
    status: 500,
    message: "the request's body was read before Lido got it",
    remedy: 'put Lido before what parses bodies, such as express.json()',
  },
  LIDO_INVALID_TRANSITION: {
    group: 'What befell the request',
    status: 500,
    message: 'cannot %s a request that is %s: expected one that is %s',
    remedy: 'this is a fault of Lido itself: report it, with what the log says',
  },
  LIDO_INTERNAL_ERROR: {
    group: 'What befell the request',
    status: 500,
    message: 'Lido itself failed: %s',
    remedy: 'this is a fault of Lido itself: report it, with the traceback in the log',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

/** An error of Lido's own. `message` says what was wrong and where, `remedy` what to do instead. */
export class LidoError extends Error {
  override readonly name = 'LidoError';
  readonly code: ErrorCode;
  readonly remedy: string;
  /** The HTTP status of the answer, where a request is concerned. */
  readonly status: number | undefined;
  /** The exit status of the command, where the command line is concerned. */
  readonly exit: number | undefined;
  /** The application's own traceback, as its language prints it. */
  readonly traceback: string | undefined;
  /** When it is worth to ask again, where that is known. Seconds. */
  readonly retryAfter: number | undefined;
  /** What failed beside it, where several applications are started together and more than one fails. */
  declare others?: readonly LidoError[];

  constructor(
    code: ErrorCode,
    args: readonly (string | number)[] = [],
    details: { cause?: unknown; traceback?: string; status?: number; retryAfter?: number } = {},
  ) {
    const entry: CatalogueEntry = catalogue[code];
    const rest = [...args];
    super(fill(entry.message, rest), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.remedy = fill(entry.remedy, rest);
    this.status = details.status ?? entry.status;
    this.exit = entry.exit;
    this.traceback = details.traceback;
    this.retryAfter = details.retryAfter;
    this.#showTraceback();
  }

  /** The same as `status`, by the name that Fastify and Express look for. */
  get statusCode(): number | undefined {
    return this.status;
  }

  /** The same error with another message: what its sender had to say, or what others may see. */
  reword(message: string, remedy: string): this {
    Object.defineProperty(this, 'message', { value: message, configurable: true });
    Object.defineProperty(this, 'remedy', { value: remedy, configurable: true });
    this.#showTraceback();
    return this;
  }

  /** Where the application failed is of more use than where Lido noticed: whoever prints the error shows that. */
  #showTraceback(): void {
    if (this.traceback !== undefined)
      this.stack = `${this.name}: ${this.message}\n${this.traceback.trimEnd()}`;
  }
}

/** Replaces each `%s` by the next argument, and uses the arguments up, so that the remedy gets what is left. */
function fill(template: string, args: (string | number)[]): string {
  return template.replace(/%s/g, () => String(args.shift() ?? ''));
}

/** An error as it crosses a port: structured clone keeps neither class nor code. */
export interface ErrorPayload {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  readonly traceback?: string;
}

/** The payload of an error. An error that is not Lido's own becomes LIDO_APPLICATION_RAISED, with its stack as the traceback. */
export function toPayload(error: unknown): ErrorPayload {
  const own = isOwn(error)
    ? error
    : new LidoError('LIDO_APPLICATION_RAISED', [describe(error)], { traceback: traceOf(error) });
  const { code, message, remedy, traceback } = own;
  return traceback === undefined ? { code, message, remedy } : { code, message, remedy, traceback };
}

/** The error of a payload: class, code and traceback are as they were. */
export function fromPayload(payload: ErrorPayload): LidoError {
  const error = new LidoError(
    payload.code,
    [],
    payload.traceback === undefined ? {} : { traceback: payload.traceback },
  );
  return error.reword(payload.message, payload.remedy);
}

/** An application may throw anything: a Proxy that refuses to be looked at, an error whose stack is none. */
function isOwn(thrown: unknown): thrown is LidoError {
  try {
    return thrown instanceof LidoError;
  } catch {
    return false;
  }
}

/** LIDO_NO_THREADS where Node could not make a thread; what was thrown in every other case. */
export function explainThread(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || (thrown as NodeJS.ErrnoException).code !== 'ERR_WORKER_INIT_FAILED')
    return thrown;
  return new LidoError('LIDO_NO_THREADS', [`${thrown.message}, for a worker`], { cause: thrown });
}

/** What was thrown, in one line, whatever it is. */
export function describe(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  } catch {
    return typeof thrown;
  }
}

/** Lido's own code, and the pool that called it: of no use to whoever mends an application. The sources where Node reads source maps. */
const OWN_FRAMES = [
  new URL('../../workers/', import.meta.url).pathname,
  decodeURIComponent(new URL('../../workers/', import.meta.url).pathname),
  decodeURIComponent(new URL('../../../workers/', import.meta.url).pathname),
  '/piscina/dist/',
  '/piscina/src/',
];

/** The stack of what was thrown, whatever it is, without Lido's own frames, with the stacks of its causes. */
export function traceOf(thrown: unknown): string {
  try {
    return findCauses(thrown).map(traceOne).join('\n  caused by ');
  } catch {
    return describe(thrown);
  }
}

/** The stack of what ended a thread, as details of an error; nothing of an exit and of a full heap, which leave none. */
export function traceOfEnd(thrown: unknown): { traceback?: string } {
  return leadsOutOfNode(thrown) ? { traceback: traceOf(thrown) } : {};
}

/** The stack has more than Node's own functions, and Lido's. */
export function leadsOutOfNode(thrown: unknown): boolean {
  return /^ +at (?!.*\bnode:)/m.test(traceOf(thrown));
}

/** The error and its causes, each once: one may be its own. */
function findCauses(thrown: unknown): unknown[] {
  const found = new Set<unknown>([thrown]);
  for (const error of found) if (error instanceof Error && error.cause !== undefined) found.add(error.cause);
  return [...found];
}

function traceOne(thrown: unknown): string {
  if (!(thrown instanceof Error) || typeof thrown.stack !== 'string') return describe(thrown);
  const lines = thrown.stack.split('\n');
  return lines.filter((line) => !OWN_FRAMES.some((frame) => line.includes(frame))).join('\n');
}
