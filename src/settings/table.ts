/**
 * The one table of settings. The types, the command line, the environment, the config file, docs/settings.md and the
 * JSON schema all derive from it; a test holds them together.
 */

export type SettingType =
  | 'application'
  | 'string'
  | 'access-format'
  | 'mode'
  | 'socket'
  | 'strings'
  | 'addresses'
  | 'proxies'
  | 'pairs'
  | 'integer'
  | 'seconds'
  | 'bytes'
  | 'boolean'
  | 'mounts'
  | 'folders';

/**
 * What a setting is about, where it is about more than one application: the whole process, the server's sockets, or the
 * server. Such a setting cannot stand in a mount. A program that embeds Lido sets those of its process and of its sockets
 * by its own means, so they are refused there.
 */
export type SettingScope = 'process' | 'listener' | 'server';
export type SettingGroup =
  | 'Application'
  | 'Static files'
  | 'Listening'
  | 'Workers'
  | 'Python'
  | 'Time-outs'
  | 'Limits'
  | 'Buffers'
  | 'WebSocket'
  | 'Operation'
  | 'Log';

export interface Setting {
  readonly type: SettingType;
  readonly group: SettingGroup;
  readonly scope?: SettingScope;
  /** What holds when nobody says otherwise; null where it is found out at start. */
  readonly default: string | number | boolean | readonly string[] | null;
  /** Why that is the default, in one line. */
  readonly why: string;
  /** One line, for --help and the settings page. */
  readonly text: string;
  /** How a value looks in --help. */
  readonly value?: string;
  /** Values that are allowed, where they can be listed. */
  readonly choices?: readonly string[];
  /** What others call one of these, for "did you mean". */
  readonly synonyms?: Readonly<Record<string, string>>;
  /** The smallest number that is allowed. */
  readonly min?: number;
  /** The largest one. */
  readonly max?: number;
  /** A list that must not be empty. */
  readonly isNeeded?: boolean;
  /** What parts the items of a list in its environment variable; a comma unless it says otherwise. */
  readonly separator?: RegExp;
  /** Names for it beyond those in other-servers.ts, such as nginx's and waitress's, for "did you mean". */
  readonly also?: readonly string[];
}

export const settings = {
  application: {
    type: 'application',
    group: 'Application',
    default: null,
    why: 'nothing is served that nobody named',
    text: 'what to serve, as MODULE:CALLABLE; on the command line it comes without a flag',
    value: 'MODULE:CALLABLE',
    also: ['app'],
  },
  mounts: {
    type: 'mounts',
    group: 'Application',
    scope: 'server',
    default: null,
    why: 'one application at the root is what most services are',
    text: 'several applications by their paths, instead of one; the longest path that fits wins; repeatable',
    value: 'PATH=MODULE:CALLABLE',
  },
  runtime: {
    type: 'string',
    group: 'Application',
    default: 'auto',
    why: "a file's ending tells its language; nothing has to be said twice",
    choices: ['auto', 'javascript', 'cpython'],
    text: 'what runs the application; auto goes by the file that is found',
  },
  interface: {
    type: 'string',
    group: 'Application',
    default: 'auto',
    why: 'a coroutine function of three arguments is an ASGI application, and what is called with two a WSGI one',
    choices: ['auto', 'wsgi', 'asgi'],
    value: 'KIND',
    text: 'what a Python application speaks; auto goes by what it is, save in isolated interpreters, where it is wsgi',
  },
  chdir: {
    type: 'string',
    group: 'Application',
    scope: 'process',
    default: null,
    why: 'a shell, a unit file and a container have set the working directory already',
    text: 'change to this directory before anything is looked for',
    value: 'DIR',
  },
  factory: {
    type: 'boolean',
    group: 'Application',
    default: false,
    why: 'most modules have their application ready; a factory can also be written as a call, with arguments',
    text: 'the callable makes the application: it is called once, without arguments',
  },
  envFile: {
    type: 'strings',
    group: 'Application',
    scope: 'process',
    default: [],
    why: 'a file that is read by itself would let whoever can write to the directory set PATH or LD_PRELOAD',
    text: 'read environment variables for the application from this file, KEY=VALUE a line; those that are set already stay; repeatable',
    value: 'FILE',
  },
  env: {
    type: 'pairs',
    group: 'Application',
    scope: 'process',
    default: [],
    why: 'the application inherits the environment of the command',
    text: 'set an environment variable for the application; repeatable',
    value: 'KEY=VALUE',
    separator: /,(?=[A-Za-z_]\w*=)/,
  },
  debug: {
    type: 'boolean',
    group: 'Application',
    default: false,
    why: 'a traceback tells a stranger about the code, its paths and sometimes its secrets',
    text: 'show tracebacks to clients; never in production',
  },
  validate: {
    type: 'boolean',
    group: 'Application',
    default: false,
    why: 'the checks cost each request, and find what development has found before',
    text: 'hold the application and Lido to PEP 3333 by lido/validator, or wsgiref.validate in Python; for development',
  },
  static: {
    type: 'folders',
    group: 'Static files',
    scope: 'server',
    default: null,
    why: 'nothing of the disk is shown that nobody named',
    text: 'answer the files of a folder before the application is asked, which answers what is not there; repeatable',
    value: 'PATH=DIR',
  },
  staticCacheControl: {
    type: 'pairs',
    group: 'Static files',
    scope: 'server',
    default: [],
    why: 'nothing tells how long a file lasts, so clients ask each time and get 304 for what they have',
    text: 'Cache-Control for files by PATTERN=TEXT, as in *.css=public, max-age=60; the first that fits wins, others have public, max-age=0; repeatable',
    value: 'RULE',
    separator: /,(?=[^=,]*=)(?![^,=]*\bmax-age=)/,
  },
  staticLinks: {
    type: 'boolean',
    group: 'Static files',
    scope: 'server',
    default: false,
    why: 'a link may lead out of the folder, and whoever may write there must not choose where',
    text: 'follow symbolic links below the static folders, wherever they lead',
  },
  privateFiles: {
    type: 'folders',
    group: 'Static files',
    default: null,
    why: 'an application that can be brought to name any file must not be able to let it out',
    text: 'send the file that an answer of the application names by X-Sendfile (DIR/FILE) or X-Accel-Redirect (PATH/FILE), if it is in this folder; repeatable',
    value: 'PATH=DIR',
    also: ['x-sendfile', 'xsendfile', 'x-accel-redirect', 'sendfile_root'],
  },
  bind: {
    type: 'addresses',
    isNeeded: true,
    group: 'Listening',
    scope: 'listener',
    default: ['127.0.0.1:8000'],
    why: 'only this machine reaches it until somebody says otherwise; 8000 is the port of gunicorn, uvicorn and runserver',
    text: 'listen here: HOST:PORT, [IPV6]:PORT, PORT, unix:PATH, unix:@NAME for an abstract socket of Linux, or fd://N for a socket that is open already; repeatable; port 0 takes a free one',
    value: 'ADDRESS',
    also: ['address'],
  },
  unixMode: {
    type: 'mode',
    group: 'Listening',
    scope: 'listener',
    default: null,
    why: 'the umask of the command says it, as it does for every file',
    text: 'who may connect to unix:PATH: 660 for the user and the group of the server, 666 for everybody',
    value: 'MODE',
  },
  socketBacklog: {
    type: 'integer',
    group: 'Listening',
    scope: 'listener',
    default: 2048,
    why: "gunicorn's and uvicorn's; the system has a limit of its own, 4096 on Linux (net.core.somaxconn)",
    min: 1,
    text: 'connections that the system keeps until they are accepted; further ones have to try again',
    value: 'N',
    also: ['listen'],
  },
  reusePort: {
    type: 'boolean',
    group: 'Listening',
    scope: 'listener',
    default: false,
    why: 'whoever starts a second server by mistake should be told that the address is taken',
    text: 'let other servers of this user listen on the same port (SO_REUSEPORT), among which Linux shares the connections out; Node.js 22.12 and later',
  },
  certfile: {
    type: 'strings',
    group: 'Listening',
    scope: 'listener',
    default: [],
    why: 'most services have a proxy in front that ends TLS',
    text: 'speak TLS, with this certificate and its chain, as PEM; repeatable: the name that a client asks for chooses, and the first is for all others',
    value: 'FILE',
  },
  keyfile: {
    type: 'strings',
    group: 'Listening',
    scope: 'listener',
    default: [],
    why: 'there is no certificate',
    text: 'the private key of each certificate, as PEM, in the same order',
    value: 'FILE',
  },
  caCerts: {
    type: 'string',
    group: 'Listening',
    scope: 'listener',
    default: null,
    why: 'no client has a certificate to be checked',
    text: "the authorities that clients' certificates are checked by, as PEM",
    value: 'FILE',
  },
  certReqs: {
    type: 'string',
    group: 'Listening',
    scope: 'listener',
    default: 'none',
    why: 'no client has a certificate to be checked',
    choices: ['none', 'optional', 'required'],
    value: 'WHEN',
    text: 'ask clients for a certificate; without a valid one a connection is refused where it is required',
  },
  ciphers: {
    type: 'string',
    group: 'Listening',
    scope: 'listener',
    default: null,
    why: "Node's own list, which follows what is safe",
    text: 'ciphers of TLS, as OpenSSL names them',
    value: 'LIST',
  },
  minTlsVersion: {
    type: 'string',
    group: 'Listening',
    scope: 'listener',
    default: 'TLSv1.2',
    why: 'older ones are deprecated by RFC 8996',
    choices: ['TLSv1.2', 'TLSv1.3'],
    value: 'VERSION',
    text: 'the oldest version of TLS that is spoken',
  },
  processes: {
    type: 'integer',
    group: 'Workers',
    scope: 'process',
    default: 1,
    why: 'one process serves all cores for JavaScript and free-threaded Python; each further one costs the memory of another application',
    min: 1,
    text: 'processes, each with an acceptor and worker threads of its own',
    value: 'N',
  },
  threads: {
    type: 'integer',
    group: 'Workers',
    default: null,
    why: 'one for each core is what computing applications can use; four under one GIL serve four requests that wait at once, as many as waitress and about as many as puma start, and those that compute stay on one of them; each takes about 10 MB',
    min: 1,
    text: 'worker threads of each process; by default the cores shared out, but 4 where threads share one GIL',
    value: 'N',
  },
  minThreads: {
    type: 'integer',
    group: 'Workers',
    default: null,
    why: 'where their number may change, what threads would be is a good beginning',
    min: 1,
    text: 'with maxThreads: worker threads that there are at least, and at the start',
    value: 'N',
  },
  maxThreads: {
    type: 'integer',
    group: 'Workers',
    default: null,
    why: 'a number that never changes is the easiest to reckon with: memory and connections to a database go by it',
    min: 1,
    text: 'let the number of worker threads grow up to this while requests wait for one, and shrink again; in place of threads',
    value: 'N',
  },
  concurrency: {
    type: 'integer',
    group: 'Workers',
    default: null,
    why: 'a thousand for ASGI, whose requests mostly wait, and each of which may hold half a megabyte of a slow client; one elsewhere: a synchronous application cannot begin a second, and an asynchronous one in JavaScript should say that it shares no state',
    min: 1,
    max: 16384,
    text: 'requests at once in one worker; by default 1, and 1000 for ASGI; more only helps asynchronous applications; at most 960 in JavaScript',
    value: 'N',
  },
  backlog: {
    type: 'integer',
    group: 'Workers',
    default: 2048,
    why: 'two seconds of work at a thousand requests a second: a burst gets through, and a server that is too slow says so before clients give up',
    min: 0,
    text: 'requests that may wait for a worker; one more is answered with 503',
    value: 'N',
  },
  backlogTimeout: {
    type: 'seconds',
    group: 'Workers',
    default: 60,
    why: 'nginx and most load balancers give up after 60 s: whoever waits longer is answered for nobody, and those behind wait for it',
    min: 0,
    text: 'how long a request may wait for a worker, then it is answered with 503, and with when to come again; 0 for no limit',
    value: 'SECONDS',
    also: ['max_request_queue_time', 'timeout_queue', 'wait_for_less_busy_worker'],
  },
  python: {
    type: 'string',
    group: 'Python',
    default: null,
    why: "what a shell would run: the active environment, the one beside the project, then the system's",
    text: 'an interpreter or a virtual environment; by default $VIRTUAL_ENV, .venv, then python3 on PATH',
    value: 'PATH',
  },
  pythonInterpreter: {
    type: 'string',
    group: 'Python',
    default: 'shared',
    why: 'every extension module works in it; numpy, lxml, cryptography and others refuse to be loaded by an isolated one',
    choices: ['shared', 'isolated'],
    value: 'KIND',
    text: 'one interpreter for all threads, which share its GIL, or one for each with a GIL of its own (CPython 3.13 and later)',
  },
  loop: {
    type: 'string',
    group: 'Python',
    default: 'auto',
    why: 'uvloop takes less of the processor, and whoever has it beside the application wants it',
    choices: ['auto', 'asyncio', 'uvloop'],
    value: 'KIND',
    text: "the event loop of an ASGI application; auto takes uvloop where it can be imported, and Python's own elsewhere",
  },
  pythonpath: {
    type: 'strings',
    group: 'Python',
    default: [],
    why: 'the working directory and the folder of the application are on sys.path anyway',
    text: 'directories to put in front of sys.path; repeatable, or parted by a colon',
    value: 'DIRS',
    separator: /:/,
  },
  timeout: {
    type: 'seconds',
    group: 'Time-outs',
    default: 30,
    why: "gunicorn's 30 s, and less than the 60 s after which nginx and most load balancers give up and ask elsewhere",
    min: 0,
    text: 'an application that gives no sign for so long is ended with 504; 0 for no limit',
    value: 'SECONDS',
  },
  gracefulTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'server',
    default: 30,
    why: "gunicorn's and Kubernetes' 30 s; as long as a request may run by timeout",
    min: 0,
    text: 'at shutdown, how long running requests may take to finish',
    value: 'SECONDS',
  },
  shutdownDelay: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'process',
    default: 0,
    why: 'only who has a load balancer that asks for readiness knows how long it takes to hear',
    min: 0,
    text: 'at shutdown, how long to serve on while the health check says "not ready" already, before the rest is finished',
    value: 'SECONDS',
  },
  keepalive: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'listener',
    default: 75,
    why: "longer than the 60 s of AWS's and nginx's balancers: whoever closes first must not be the server, or requests on their way are lost",
    min: 0,
    text: 'how long an idle connection is kept; longer than a load balancer keeps its own',
    value: 'SECONDS',
  },
  headerTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'listener',
    default: 60,
    why: "nginx's 60 s: a slow mobile network gets through, and a client that sends nothing does not stay",
    min: 0,
    text: 'how long a client may take to send a request head; 0 for no limit',
    value: 'SECONDS',
  },
  bodyTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    default: 60,
    why: "nginx's 60 s between two reads: a stalled upload ends, a slow one goes on",
    min: 0,
    text: 'how long a client may pause within a request body; 0 for no limit',
    value: 'SECONDS',
  },
  sendTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    default: 60,
    why: "nginx's 60 s between two writes: a stalled download ends, a slow one goes on",
    min: 0,
    text: 'how long a client may take nothing of a response; 0 for no limit',
    value: 'SECONDS',
  },
  forwardedAllowIps: {
    type: 'proxies',
    group: 'Listening',
    scope: 'server',
    default: [],
    why: 'whoever is trusted without being a proxy can claim any address: only the operator knows who stands in front',
    text: 'proxies whose word on the client is taken: addresses, networks (10.0.0.0/8), unix for Unix sockets, * for everyone',
    value: 'ADDRESS',
    also: ['trusted_proxy', 'trust_proxy', 'proxies'],
  },
  proxyProtocol: {
    type: 'boolean',
    group: 'Listening',
    scope: 'listener',
    default: false,
    why: 'only who knows its proxies can say that they speak it: others would be refused',
    text: 'the proxies of forwardedAllowIps tell of their clients by the PROXY protocol, version 1 or 2, before the first request',
  },
  forwardedFields: {
    type: 'strings',
    group: 'Listening',
    scope: 'server',
    default: ['x-forwarded-for', 'x-forwarded-proto', 'x-request-id', 'traceparent'],
    why: "those that nginx, Apache, Caddy and the clouds' balancers set by themselves, and an id and a trace, with which a client gets no further than the logs; any other that the proxy passes on unset would be the client's word",
    choices: [
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-forwarded-host',
      'x-forwarded-port',
      'forwarded',
      'x-request-id',
      'traceparent',
    ],
    text: 'header fields that those proxies set themselves; any other comes from the client as it is',
    value: 'FIELD',
    also: ['trusted_proxy_headers'],
  },
  limitRequestLine: {
    type: 'bytes',
    group: 'Limits',
    default: 8190,
    why: "Apache's 8190: the longest URLs that browsers and search forms send fit in",
    min: 1,
    text: 'the longest request line',
    value: 'BYTES',
  },
  limitRequestFields: {
    type: 'integer',
    group: 'Limits',
    default: 100,
    why: "Apache's and gunicorn's 100: browsers send about 20",
    min: 1,
    text: 'the most header fields of a request',
    value: 'N',
  },
  limitRequestFieldSize: {
    type: 'bytes',
    group: 'Limits',
    default: 8190,
    why: "Apache's and gunicorn's 8190: fits a field full of cookies, of which browsers hold 4096 bytes each",
    min: 1,
    text: 'the longest header field, name and value',
    value: 'BYTES',
  },
  maxBodySize: {
    type: 'bytes',
    group: 'Limits',
    default: 0,
    why: 'bodies are not kept in memory, and only the application knows what it takes',
    min: 0,
    text: 'the largest request body; 0 for no limit',
    value: 'BYTES',
    also: ['client_max_body_size', 'bodyLimit', 'max_request_body_size'],
  },
  minBodyRate: {
    type: 'bytes',
    group: 'Limits',
    default: 240,
    why: "Kestrel's 240: a modem of 1990 is as quick, and a client that counts out its bytes to hold something up is not",
    min: 0,
    text: 'a client that sends a request body at fewer bytes a second, over ten seconds, is answered with 408; 0 for no limit',
    value: 'BYTES',
  },
  maxConnections: {
    type: 'integer',
    group: 'Limits',
    scope: 'listener',
    default: 0,
    why: 'a connection takes a few kilobytes, and what it makes a process hold is in bufferBudget',
    min: 0,
    text: 'connections that a process keeps at once; for one more, one that has been idle for a second is ended, and where none is, it is answered with 503; 0 for no limit',
    value: 'N',
    also: ['connection_limit', 'worker_connections', 'MaxConcurrentConnections'],
  },
  maxConnectionsPerAddress: {
    type: 'integer',
    group: 'Limits',
    scope: 'listener',
    default: 0,
    why: 'a whole company or a mobile network may come from one address',
    min: 0,
    text: 'connections that a process keeps at once from one IPv4 address, or one network of 64 bits of IPv6; one more is answered with 429; those of forwardedAllowIps are not counted; 0 for no limit',
    value: 'N',
    also: ['limit_conn'],
  },
  keepaliveRequests: {
    type: 'integer',
    group: 'Limits',
    scope: 'listener',
    default: 0,
    why: 'a connection holds no more after a million requests than after one',
    min: 0,
    text: 'requests that are answered on one connection, which ends with the last of them; 0 for no limit',
    value: 'N',
    also: ['maxRequestsPerSocket', 'MaxKeepAliveRequests'],
  },
  requestBuffering: {
    type: 'boolean',
    group: 'Buffers',
    default: null,
    why: "a client that takes its time takes nobody else's, and few applications begin before the body ends; in ASGI it costs nobody anything, and applications may begin with the first bytes",
    text: 'take a request body in whole before a worker gets the request; by default for WSGI, not for ASGI',
    also: ['proxy_request_buffering', 'http-buffering'],
  },
  responseBuffering: {
    type: 'boolean',
    group: 'Buffers',
    default: null,
    why: 'the same; a quick client gets each block as it comes, and pays nothing; in ASGI an application may wait for its client',
    text: 'take an answer from its worker though the client does not take it, and keep it until it does; by default for WSGI, not for ASGI',
    also: ['proxy_buffering'],
  },
  bufferMemory: {
    type: 'bytes',
    group: 'Buffers',
    default: 1024 * 1024,
    why: 'a file costs a body of this size about a millisecond, less than most networks take to bring it',
    min: 0,
    text: 'of one request body, or of one answer, so much lies in memory; what is larger goes to a temporary file',
    value: 'BYTES',
    also: ['client_body_buffer_size', 'inbuf_overflow'],
  },
  bufferBudget: {
    type: 'bytes',
    group: 'Buffers',
    scope: 'server',
    default: null,
    why: 'a quarter of what the machine or cgroup has, shared by the processes, and half of the JavaScript heap at most: applications need the rest',
    min: 1,
    text: 'memory for what all clients together have sent or not taken; beyond it those who hold most are read no further, and new requests get 503',
    value: 'BYTES',
  },
  bufferDisk: {
    type: 'bytes',
    group: 'Buffers',
    scope: 'server',
    default: null,
    why: 'half of what is free in their directory at the start, shared by the processes: others write there too',
    min: 0,
    text: 'bytes that all temporary files together may have',
    value: 'BYTES',
  },
  bufferDirectory: {
    type: 'string',
    group: 'Buffers',
    scope: 'server',
    default: null,
    why: "the system's own, $TMPDIR or /tmp",
    text: 'where temporary files lie, which have no name',
    value: 'DIR',
    also: ['client_body_temp_path'],
  },
  websocketOrigins: {
    type: 'strings',
    group: 'WebSocket',
    default: [],
    why: 'an application that asks nobody who he is has nothing to hide from other sites, and one that does may look by itself',
    text: 'let pages of these origins alone open a WebSocket: https://example.com, https://*.example.com for the names below it, same for the one that was asked; others get 403, and clients that are no browsers name none; repeatable',
    value: 'ORIGIN',
    also: ['allowed_origins', 'cors_allowed_origins'],
  },
  websocketMaxMessage: {
    type: 'bytes',
    group: 'WebSocket',
    default: 16 * 1024 * 1024,
    why: "uvicorn's 16 MiB: a message lies in memory whole before the application has it",
    min: 1,
    text: 'the largest message that a client may send; a larger one closes its WebSocket with 1009',
    value: 'BYTES',
    also: ['maxPayload', 'max_size'],
  },
  websocketPingInterval: {
    type: 'seconds',
    group: 'WebSocket',
    default: 20,
    why: "uvicorn's and websockets' 20 s: less than the 60 s after which proxies take a silent connection for dead",
    min: 0,
    text: 'ask a client that was not heard for so long for a sign; 0 for never',
    value: 'SECONDS',
  },
  websocketPingTimeout: {
    type: 'seconds',
    group: 'WebSocket',
    default: 20,
    why: "uvicorn's and websockets' 20 s",
    min: 0,
    text: 'a client that has given no sign so long after it was asked is gone; 0 for no limit',
    value: 'SECONDS',
  },
  websocketDeflate: {
    type: 'boolean',
    group: 'WebSocket',
    default: false,
    why: 'it takes memory for each client, and time of the thread that serves all of them',
    text: 'compress messages for clients that offer permessage-deflate',
  },
  supervise: {
    type: 'boolean',
    group: 'Operation',
    scope: 'process',
    default: null,
    why: 'Python is loaded anew, and ended when it is stuck, by another process only; JavaScript alone needs none, and saves the memory of one: about 17 MB',
    text: 'keep a process of its own that starts, replaces and reloads those that serve; by default for Python, for several processes, and where they are recycled',
  },
  reloadOneByOne: {
    type: 'boolean',
    group: 'Operation',
    scope: 'process',
    default: false,
    why: 'all at once changes the version in one moment, at the price of memory for twice the processes',
    text: 'at a reload, exchange one process after the other: one more than there are, instead of twice as many',
  },
  reload: {
    type: 'boolean',
    group: 'Operation',
    scope: 'process',
    default: false,
    why: 'it is for whoever writes the application: it watches files, and shows tracebacks to browsers on the same machine',
    text: 'load the application anew when one of its files changes, or the config file, or an envFile; for development',
  },
  reloadExtra: {
    type: 'strings',
    group: 'Operation',
    scope: 'process',
    default: [],
    why: 'what an application reads by itself, such as templates, only it knows',
    text: 'with reload, files that count as well, as a folder or a pattern such as templates/**/*.html; repeatable',
    value: 'GLOB',
  },
  maxRequests: {
    type: 'integer',
    group: 'Operation',
    scope: 'process',
    default: 0,
    why: 'a sound application needs no recycling',
    min: 0,
    text: 'another process takes the place of one that has answered so many requests, and without a supervisor the server ends; 0 for no limit',
    value: 'N',
  },
  maxRequestsJitter: {
    type: 'integer',
    group: 'Operation',
    scope: 'process',
    default: 0,
    why: 'processes that started together are exchanged one after the other anyway',
    min: 0,
    text: 'up to so many requests more, by chance for each process',
    value: 'N',
  },
  maxMemory: {
    type: 'bytes',
    group: 'Operation',
    scope: 'process',
    default: 0,
    why: 'how much is too much, only who knows the application can say',
    min: 0,
    text: 'another process takes the place of one whose resident memory exceeds this, and without a supervisor the server ends; 0 for no limit',
    value: 'BYTES',
    also: ['max-memory-per-child'],
  },
  maxAge: {
    type: 'seconds',
    group: 'Operation',
    scope: 'process',
    default: 0,
    why: 'a sound application needs no recycling',
    min: 0,
    text: 'another process takes the place of one that has served for so long, and without a supervisor the server ends; 0 for no limit',
    value: 'SECONDS',
  },
  pidfile: {
    type: 'string',
    group: 'Operation',
    scope: 'process',
    default: null,
    why: 'systemd and containers know the process already',
    text: 'write the id of the process that takes signals to this file',
    value: 'PATH',
  },
  controlSocket: {
    type: 'socket',
    group: 'Operation',
    scope: 'process',
    default: null,
    why: 'what changes the server is off until it is asked for',
    text: 'a Unix socket for lido reload, top and stats, which only the user who runs the server may use',
    value: 'PATH',
  },
  logLevel: {
    type: 'string',
    group: 'Log',
    scope: 'server',
    default: 'info',
    why: 'start, end and what went wrong; nothing for each request',
    value: 'LEVEL',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    synonyms: { critical: 'fatal' },
    text: 'the least severe lines that are logged',
  },
  logFormat: {
    type: 'string',
    group: 'Log',
    scope: 'server',
    default: 'text',
    why: 'people read `docker logs` and journals too',
    choices: ['text', 'json'],
    text: 'lines for people, or one JSON object a line for machines',
  },
  captureOutput: {
    type: 'boolean',
    group: 'Log',
    scope: 'server',
    default: true,
    why: 'whoever reads JSON has no use for lines that are none, nor for lines that do not say which request they are of',
    text: 'where the log is JSON, make what the application prints lines of it, each with its request; what is JSON already is better left alone',
  },
  accessLog: {
    type: 'string',
    group: 'Log',
    scope: 'server',
    default: null,
    why: 'proxies in front have one as a rule, and it is a line of disk for each request',
    text: 'a line for each request, to this file, to standard output (-), to syslog:HOST:PORT by UDP, or to syslog:/dev/log of this machine',
    value: 'FILE',
  },
  accessLogFormat: {
    type: 'access-format',
    group: 'Log',
    scope: 'server',
    default: 'combined',
    why: 'what Apache, nginx and gunicorn write, so that what reads logs can read it',
    text: 'how those lines look: combined, common, json, or text with %(NAME)s in it as for gunicorn',
    value: 'FORMAT',
  },
  sendRequestId: {
    type: 'boolean',
    group: 'Log',
    default: false,
    why: 'an application may have a field of that name of its own; whoever wants this says so',
    text: 'tell clients the id of their request, which log lines have too, as X-Request-ID',
  },
  tracing: {
    type: 'boolean',
    group: 'Log',
    scope: 'server',
    default: false,
    why: 'a span for each request costs time, and is of use only where an OpenTelemetry SDK takes it',
    text: 'make an OpenTelemetry span for each request, which the application can continue; needs @opentelemetry/api',
    also: ['otel', 'opentelemetry'],
  },
  slowRequest: {
    type: 'seconds',
    group: 'Log',
    default: 0,
    why: 'what is slow, only who knows the application can say',
    min: 0,
    text: 'log a request that an application takes longer for, once, with where it stands at that moment; 0 for none',
    value: 'SECONDS',
    also: ['slowlog', 'request_slowlog_timeout', 'slow-log'],
  },
  admin: {
    type: 'addresses',
    group: 'Listening',
    scope: 'listener',
    default: [],
    why: 'it shows paths and tracebacks to whoever reaches it, and asks for no password',
    text: 'answer health checks, metrics and the status page here, apart from the applications; repeatable',
    value: 'ADDRESS',
    also: ['control', 'status'],
  },
  adminHosts: {
    type: 'strings',
    group: 'Listening',
    scope: 'listener',
    default: [],
    why: 'a web page can point a name of its own at any address, but cannot be asked for as one',
    text: 'names by which that may be asked, beside addresses and localhost; repeatable',
    value: 'NAME',
  },
  readyWait: {
    type: 'seconds',
    group: 'Listening',
    scope: 'listener',
    default: 10,
    why: 'longer than a burst or a slow start of a worker takes, shorter than the time-outs of load balancers',
    min: 0,
    text: 'the health check says "not ready" while a request has waited for a worker for so long; 0 for no limit',
    value: 'SECONDS',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

export const settingNames = Object.keys(settings) as SettingName[];

type ValueOf<S extends Setting> = S extends { type: 'strings'; choices: readonly (infer C)[] }
  ? readonly C[]
  : S extends { choices: readonly (infer C)[] }
    ? C
    : S['type'] extends 'mounts'
      ? UserMounts
      : S['type'] extends 'folders'
        ? Readonly<Record<string, string>>
        : S['type'] extends 'strings' | 'addresses' | 'proxies' | 'pairs'
          ? readonly string[]
          : S['type'] extends 'boolean'
            ? boolean
            : S['type'] extends 'string' | 'application' | 'access-format' | 'mode' | 'socket'
              ? string
              : number;

/** The names of the settings with this scope, as a type. */
export type NameInScope<S extends SettingScope> = {
  [N in SettingName]: (typeof settings)[N] extends { scope: S } ? N : never;
}[SettingName];

/** The settings that each mount may have for itself. */
export type MountSettingName = Exclude<SettingName, NameInScope<SettingScope>>;

/** What a mount says for itself; the rest is as the server's settings have it. */
export type MountSettings = {
  readonly [N in Exclude<MountSettingName, 'application'>]?: ValueOf<(typeof settings)[N]>;
} & { readonly application: string };

/** Applications by their paths: `'/shop': 'shop.wsgi:application'`, or an object with settings of its own. */
export interface UserMounts {
  readonly [path: string]: string | MountSettings;
}

export type Mounts = Readonly<Record<string, MountSettings>>;

/** All settings with the values that the server runs with. Frozen. */
export type Settings = {
  readonly [N in Exclude<SettingName, 'mounts'>]:
    | ValueOf<(typeof settings)[N]>
    | ((typeof settings)[N]['default'] extends null ? null : never);
} & { readonly mounts: Mounts | null };

/** Settings as a person writes them in a config file or as options: any of them may be left out. */
export type UserSettings = { readonly [N in SettingName]?: ValueOf<(typeof settings)[N]> };

/** The names of the settings with one of these scopes. */
export function namesInScope(...scopes: readonly SettingScope[]): SettingName[] {
  return settingNames.filter((name) => {
    const { scope }: Setting = settings[name];
    return scope !== undefined && scopes.includes(scope);
  });
}

/** Lists are repeatable flags, and parted text in the environment. */
export function isList({ type }: Setting): boolean {
  return (
    type === 'strings' ||
    type === 'addresses' ||
    type === 'proxies' ||
    type === 'pairs' ||
    type === 'mounts' ||
    type === 'folders'
  );
}

/** `gracefulTimeout` ► `--graceful-timeout` */
export function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `gracefulTimeout` ► `LIDO_GRACEFUL_TIMEOUT` */
export function variableOf(name: SettingName): string {
  return `LIDO_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
