/**
 * What gunicorn, uvicorn, granian and uWSGI call things, and what Lido has for each, or why it has nothing. The command line
 * answers from this table, and the pages docs/from-*.md derive from it. It is as long as their lists of options are. Pure.
 */
import { type SettingName, settingNames } from './table.js';

export const OTHER_SERVERS = ['gunicorn', 'uvicorn', 'granian', 'uwsgi'] as const;

export type OtherServer = (typeof OTHER_SERVERS)[number];

export interface OtherName {
  readonly servers: readonly OtherServer[];
  /** With dashes, as on their command lines; a star at the end stands for all names that begin so. */
  readonly names: readonly string[];
  /** The setting that Lido has for it, or null. */
  readonly setting: SettingName | null;
  /** What is different here; or, without a setting, why there is none and what to do instead. */
  readonly text: string;
}

const G: readonly OtherServer[] = ['gunicorn'];
const U: readonly OtherServer[] = ['uvicorn'];
const R: readonly OtherServer[] = ['granian'];
const W: readonly OtherServer[] = ['uwsgi'];
const UR: readonly OtherServer[] = ['uvicorn', 'granian'];
const GUR: readonly OtherServer[] = ['gunicorn', 'uvicorn', 'granian'];
const ALL = OTHER_SERVERS;

type Row = readonly [
  servers: readonly OtherServer[],
  names: string,
  setting: SettingName | null,
  text: string,
];

const TLS =
  '--certfile, --keyfile and what stands beside them in docs/settings.md are all there is; certificates are read again by themselves';
const HTTP2 = 'Lido speaks HTTP/1.1: let the proxy in front of it speak HTTP/2';
const LIFESPAN = 'an application that has a lifespan is told, any other is served all the same';
const LOGGING =
  "the log goes to standard error, as text or JSON (--log-format); Python's logging stays the application's";
const SUPERVISE = "systemd, a container's runtime or another process manager does it";
const STRICT = 'what is malformed is refused, always: docs/protocol.md has the rules';
const ROUTER = 'a proxy such as nginx, Caddy or HAProxy does it';
const LIBRARY = 'a library does it, inside the application: Celery, APScheduler, Redis';

const ROWS: readonly Row[] = [
  // What is served
  [G, 'wsgi-app', 'application', "MODULE:CALLABLE as there; a file's path does for a module"],
  [
    W,
    'module wsgi wsgi-file file callable',
    'application',
    "one text, MODULE:CALLABLE; a file's path does for a module",
  ],
  [UR, 'factory', 'factory', 'or write the call: lido "shop:create_app()"'],
  [R, 'no-factory', 'factory', ''],
  [U, 'interface', 'interface', 'asgi3 is asgi; asgi2 is not served'],
  [R, 'interface', 'interface', 'asginl is asgi; RSGI is not served'],
  [W, 'mount', 'mounts', 'PATH=MODULE:CALLABLE, each with workers of its own'],
  [W, 'manage-script-name', null, 'it always holds: SCRIPT_NAME is the mount'],
  [W, 'need-app strict', null, 'it always holds: what cannot be loaded or is unknown ends the start'],
  [G, 'config c', null, '--config reads lido.config.toml, .json, .js or .ts; gunicorn.conf.py is not read'],
  [
    W,
    'ini xml xmlconfig yaml yml json js inherit import include config config-py',
    null,
    '--config reads lido.config.toml, .json, .js or .ts',
  ],
  [
    W,
    'set* show-config dump-options print* eval exit for for-* if* end* declare-option* get iprint fallback-config opt*',
    null,
    'a config file in JavaScript or TypeScript computes what it likes',
  ],
  [
    G,
    'paste paster paste-global raw-paste-global-conf',
    null,
    'write a module that calls paste.deploy.loadapp()',
  ],
  [W, 'paste* ini-paste* pecan', null, 'write a module that calls paste.deploy.loadapp()'],
  [
    G,
    'worker-class k',
    null,
    'there is one kind of worker: threads, which wait side by side; gevent and eventlet are not needed for that, nor uvicorn for ASGI, which is served as it is',
  ],
  [
    W,
    'gevent* ugreen* asyncio async loop-list loops-list',
    null,
    'there is one kind of worker: threads, which wait side by side (--threads)',
  ],
  [W, 'loop', 'loop', 'of ASGI applications; WSGI has none: threads wait side by side (--threads)'],
  [U, 'app-dir', 'chdir', 'for a directory on sys.path alone: --pythonpath'],
  [G, 'chdir', 'chdir', ''],
  [W, 'chdir chdir2 force-cwd', 'chdir', ''],
  [R, 'working-dir', 'chdir', ''],
  [G, 'raw-env env e', 'env', ''],
  [W, 'env unenv', 'env', ''],
  [U, 'env-file', 'envFile', ''],
  [R, 'env-files', 'envFile', ''],
  [
    W,
    'envdir early-envdir',
    null,
    'EnvironmentFile= of systemd, or the container, sets variables before Lido starts',
  ],
  [G, 'root-path', null, 'SCRIPT_NAME is the path of the mount: --mounts /PATH=MODULE:CALLABLE'],
  [U, 'root-path', null, 'SCRIPT_NAME is the path of the mount: --mounts /PATH=MODULE:CALLABLE'],
  [R, 'url-path-prefix', null, 'SCRIPT_NAME is the path of the mount: --mounts /PATH=MODULE:CALLABLE'],

  // Sockets
  [G, 'bind b', 'bind', ':8000 is every IPv4 interface; unix:PATH as there; $PORT is read'],
  [UR, 'host port', 'bind', 'one text, HOST:PORT'],
  [UR, 'uds', 'bind', 'as unix:PATH'],
  [
    W,
    'http http-socket http11-socket socket uwsgi-socket http-to',
    'bind',
    'HTTP only; unix:PATH for a Unix socket',
  ],
  [U, 'fd', 'bind', 'as fd://N; fd://0 under supervisord'],
  [R, 'uds-permissions', 'unixMode', 'octal digits as there'],
  [W, 'chmod chmod-socket', 'unixMode', '666 where it has no value there'],
  [
    W,
    'chown-socket',
    null,
    'the user and group of the server own it: systemd sets them, and --unix-mode the rest',
  ],
  [
    GUR,
    'backlog',
    'socketBacklog',
    'a setting backlog is here, too: requests that wait for a worker, beyond which 503 is answered',
  ],
  [W, 'listen', 'socketBacklog', 'requests that wait for a worker have a limit of their own, --backlog'],
  [R, 'backpressure', 'backlog', 'requests that wait for a worker, beyond which 503 is answered'],
  [
    U,
    'limit-concurrency',
    'maxConnections',
    'of connections alone, the idle ones of which make room; requests that wait for a worker have --backlog',
  ],
  [
    ['gunicorn', 'uwsgi'],
    'reuse-port',
    'reusePort',
    'for several servers: the processes of one share a socket, whose connections the supervisor spreads evenly',
  ],
  [W, 'abstract-socket', 'bind', 'as unix:@NAME'],
  [
    W,
    'protocol puwsgi* suwsgi* fastcgi* scgi* raw-socket* https-socket* ssl-socket* raw-modifier* remap-modifier socket-protocol',
    null,
    'HTTP only: uwsgi_pass becomes proxy_pass',
  ],
  [G, 'protocol uwsgi-allow-ips uwsgi-allow-from', null, 'HTTP only: uwsgi_pass becomes proxy_pass'],
  [
    G,
    'proxy-protocol proxy-allow-ips proxy-allow-from',
    'proxyProtocol',
    'on or off, both versions; whose word is taken is forwardedAllowIps',
  ],
  [
    W,
    'enable-proxy-protocol http-enable-proxy-protocol',
    'proxyProtocol',
    'both versions, and from the addresses of forwardedAllowIps alone',
  ],
  [
    ['gunicorn', 'uvicorn'],
    'forwarded-allow-ips',
    'forwardedAllowIps',
    "nobody by default, networks too; REMOTE_ADDR becomes the client's as well as the scheme",
  ],
  [
    U,
    'proxy-headers no-proxy-headers',
    'forwardedAllowIps',
    'name the proxies that are believed; nobody is by default',
  ],
  [
    G,
    'secure-scheme-headers',
    'forwardedFields',
    "the fields' names; what they say is read as https or http",
  ],
  [G, 'forwarder-headers', 'forwardedFields', ''],
  [G, 'header-map', null, 'fields with an underscore in their name are dropped, as gunicorn does by default'],
  [
    W,
    'log-x-forwarded-for',
    'forwardedAllowIps',
    'REMOTE_ADDR, and so the log, has the client behind a trusted proxy',
  ],
  [
    W,
    'so-* tcp-* socket-* shared-socket undeferred-shared-socket map-socket freebind no-defer-accept thunder-lock close-on-exec* multicast* udp',
    null,
    "sockets are Node's: they close on exec, have TCP_NODELAY, and one process accepts for all",
  ],

  // Workers
  [G, 'w', 'processes', ''],
  [
    ALL,
    'workers',
    'processes',
    'each with an acceptor and worker threads of its own; for JavaScript and free-threaded Python one process serves all cores',
  ],
  [W, 'processes', 'processes', 'each with an acceptor and worker threads of its own'],
  [
    ['gunicorn', 'uwsgi'],
    'threads',
    'threads',
    '4 by default for a Python with one GIL; an application that is not safe under threads wants 1',
  ],
  [
    R,
    'blocking-threads runtime-threads runtime-blocking-threads',
    'threads',
    '4 by default for a Python with one GIL; an application that is not safe under threads wants 1',
  ],
  [
    R,
    'runtime-mode task-impl blocking-threads-idle-timeout',
    null,
    'one main thread does HTTP for all worker threads of a process, which stay',
  ],
  [G, 'worker-connections', 'maxConnections', 'no limit by default: connections cost no worker'],
  [W, 'enable-threads no-threads-wait', null, 'Python threads of the application always run'],
  [W, 'thread-stack* threads-stack*', null, 'threads have what Node and Python give them'],
  [
    W,
    'single-interpreter',
    'pythonInterpreter',
    'one interpreter is shared by default; isolated gives each thread one',
  ],
  [
    W,
    'virtualenv venv home pyhome',
    'python',
    'a virtual environment or an interpreter; .venv is found by itself',
  ],
  [
    W,
    'no-site py-executable py-sys-executable py-program-name py-programname python python-version',
    'python',
    'name the interpreter, or a virtual environment made by it',
  ],
  [['gunicorn', 'uwsgi'], 'pythonpath', 'pythonpath', 'parted by colons, or repeated'],
  [W, 'pp', 'pythonpath', ''],
  [
    W,
    'pymodule-alias post-pymodule-alias pyimport py-import python-import shared-* spooler-py* pyrun pyshell* pyargv py-tracebacker py-call-* py-sharedarea python-raw python-worker-override py',
    null,
    'write it into the module that is served',
  ],
  [
    G,
    'preload-app preload',
    null,
    'Node.js cannot fork: each process imports the application for itself, once, and its threads share it; docs/deploy.md has what that takes of memory',
  ],
  [W, 'lazy lazy-apps', null, 'it always holds: each process imports the application for itself, once'],
  [G, 'max-requests', 'maxRequests', 'of a process; its successor serves first'],
  [G, 'max-requests-jitter', 'maxRequestsJitter', ''],
  [U, 'limit-max-requests', 'maxRequests', 'of a process; its successor serves first'],
  [U, 'limit-max-requests-jitter', 'maxRequestsJitter', ''],
  [R, 'workers-lifetime', 'maxAge', 'in seconds'],
  [R, 'workers-max-rss', 'maxMemory', 'in bytes, of a process'],
  [R, 'rss-sample*', null, 'memory is looked at ten times a second'],
  [W, 'max-requests', 'maxRequests', 'of a process; its successor serves first'],
  [W, 'max-requests-delta', 'maxRequestsJitter', 'by chance for each process'],
  [W, 'max-worker-lifetime', 'maxAge', 'in seconds'],
  [W, 'reload-on-rss', 'maxMemory', 'in bytes, of a process'],
  [
    W,
    'max-worker-lifetime* min-worker-lifetime reload-on-* evil-reload-* limit-as limit-nproc never-swap ksm memory-report mem-collector-freq reaper',
    null,
    '--max-requests, --max-memory and --max-age recycle processes',
  ],
  [
    R,
    'respawn-* no-respawn-*',
    null,
    'it always holds: a worker that dies is replaced, with growing pauses where it dies again',
  ],
  [U, 'timeout-worker-healthcheck', null, 'a worker that gives no sign is ended by --timeout'],
  [W, 'master', null, 'several processes have a supervisor by themselves'],
  [
    W,
    'cheap* idle die-on-idle',
    null,
    'threads come and go with the load (--max-threads); the number of processes is fixed: let the platform scale containers',
  ],
  [W, 'cpu-affinity', null, 'taskset, systemd or the container does it'],
  [
    W,
    'worker-exec* fork* re-fork* refork* worker-mount',
    null,
    'processes are forked by the supervisor alone',
  ],

  // Time and limits
  [G, 'timeout t', 'timeout', 'counts for each request: it is ended with 504, and others go on'],
  [
    W,
    'harakiri harakiri-* http-timeout no-harakiri-*',
    'timeout',
    '30 s instead of none; the request is ended with 504, and others go on',
  ],
  [G, 'graceful-timeout', 'gracefulTimeout', ''],
  [U, 'timeout-graceful-shutdown', 'gracefulTimeout', '30 s instead of none'],
  [R, 'workers-kill-timeout', 'gracefulTimeout', ''],
  [W, 'reload-mercy worker-reload-mercy mule-reload-mercy', 'gracefulTimeout', ''],
  [G, 'keepalive keep-alive', 'keepalive', '75 s instead of 2 s; idle connections cost no worker'],
  [U, 'timeout-keep-alive', 'keepalive', '75 s instead of 5 s'],
  [R, 'http1-keep-alive no-http1-keep-alive', 'keepalive', 'in seconds'],
  [W, 'http-keepalive', 'keepalive', 'on by default'],
  [R, 'http1-header-read-timeout', 'headerTimeout', '60 s; in seconds, not milliseconds'],
  [W, 'http-headers-timeout', 'headerTimeout', ''],
  [W, 'chunked-input-timeout http-connect-timeout', 'bodyTimeout', ''],
  [G, 'limit-request-line', 'limitRequestLine', '8190 instead of 4094; no 0 for no limit'],
  [
    W,
    'buffer-size http-buffer-size',
    'limitRequestLine',
    'with --limit-request-fields and --limit-request-field-size for the header fields',
  ],
  [
    R,
    'http1-buffer-size',
    'limitRequestLine',
    'with --limit-request-fields and --limit-request-field-size for the header fields',
  ],
  [
    U,
    'h11-max-incomplete-event-size',
    'limitRequestLine',
    'with --limit-request-fields and --limit-request-field-size for the header fields',
  ],
  [G, 'limit-request-fields', 'limitRequestFields', ''],
  [W, 'max-vars', 'limitRequestFields', ''],
  [G, 'limit-request-field-size', 'limitRequestFieldSize', 'no 0 for no limit'],
  [W, 'limit-post chunked-input-limit', 'maxBodySize', ''],
  [
    W,
    'post-buffering',
    'bufferMemory',
    'bodies are taken in whole by default, beyond this in a temporary file',
  ],
  [W, 'post-buffering-bufsize upload-progress body-read-warning', null, 'bodies need no such setting'],
  [
    G,
    'worker-tmp-dir',
    'bufferDirectory',
    'for bodies and answers; workers prove that they live without a file',
  ],
  [G, 'tmp-upload-dir', 'bufferDirectory', ''],
  [
    R,
    'http1-pipeline-flush no-http1-pipeline-flush',
    null,
    'pipelined requests are answered in their order, each as soon as it can be',
  ],
  [G, 'sendfile no-sendfile', null, 'files by wsgi.file_wrapper leave the worker at once'],
  [
    W,
    'disable-sendfile fileserve-mode file-serve-mode wsgi-disable-file-wrapper offload-thread*',
    null,
    'files by wsgi.file_wrapper leave the worker at once',
  ],
  [G, 'permit-* strip-header-spaces casefold-http-method http-parser', null, STRICT],
  [
    W,
    'wsgi-* start_response-nodelay http-raw-body http-manage-* http-auto-* http-chunked-input no-default-app',
    null,
    `${STRICT}; chunked bodies are read as others`,
  ],
  [['uvicorn', 'granian'], 'http', null, HTTP2],
  [G, 'http-protocols http2-*', null, HTTP2],
  [G, 'asgi-loop', 'loop', ''],
  [G, 'asgi-lifespan', null, LIFESPAN],
  [
    G,
    'asgi-disconnect-grace-period',
    null,
    'receive() tells of it at once, send() raises; who goes on is cancelled by timeout',
  ],
  [G, 'websocket-max-message-size', 'websocketMaxMessage', ''],
  [G, 'asgi-*', null, 'docs/asgi.md tells what holds for ASGI'],
  [U, 'http2', null, HTTP2],
  [R, 'http2-* no-http2-*', null, HTTP2],
  [UR, 'loop', 'loop', 'auto, asyncio or uvloop'],
  [U, 'lifespan', null, LIFESPAN],
  [U, 'reset-contextvars', null, 'each request has context variables of its own, always'],
  [U, 'ws-max-size', 'websocketMaxMessage', ''],
  [U, 'ws-ping-interval', 'websocketPingInterval', 'of silence: whoever is heard is not asked'],
  [U, 'ws-ping-timeout', 'websocketPingTimeout', ''],
  [U, 'ws-per-message-deflate', 'websocketDeflate', 'off by default'],
  [U, 'ws-max-queue', null, '32 messages may wait for the application, or 256 KiB of them'],
  [U, 'ws', null, 'WebSockets are spoken by the main thread, for every ASGI application'],
  [R, 'ws no-ws', null, 'every ASGI application has WebSockets, and may refuse them'],
  [W, 'http-websockets websocket*', null, 'WebSockets are for ASGI applications: docs/asgi.md'],
  [U, 'server-header no-server-header', null, 'Lido sends no Server field'],
  [U, 'date-header no-date-header', null, 'Date is always there, as RFC 9110 wants'],
  [U, 'header', null, 'middleware or the proxy adds fields'],

  // TLS
  [G, 'certfile', 'certfile', 'read again when it changes'],
  [G, 'keyfile', 'keyfile', 'read again when it changes'],
  [G, 'ca-certs', 'caCerts', ''],
  [G, 'cert-reqs', 'certReqs', 'none, optional and required for 0, 1 and 2'],
  [G, 'ciphers', 'ciphers', ''],
  [G, 'ssl-version', 'minTlsVersion', 'the oldest that is spoken, TLSv1.2 or TLSv1.3'],
  [G, 'ssl-* suppress-ragged-eofs do-handshake-on-connect', null, TLS],
  [U, 'ssl-certfile', 'certfile', 'read again when it changes'],
  [U, 'ssl-keyfile', 'keyfile', 'read again when it changes'],
  [U, 'ssl-ca-certs', 'caCerts', ''],
  [U, 'ssl-cert-reqs', 'certReqs', 'none, optional and required for 0, 1 and 2'],
  [U, 'ssl-ciphers', 'ciphers', ''],
  [U, 'ssl-*', null, TLS],
  [R, 'ssl-certificate', 'certfile', 'read again when it changes'],
  [R, 'ssl-keyfile', 'keyfile', 'read again when it changes'],
  [R, 'ssl-ca', 'caCerts', ''],
  [R, 'ssl-client-verify', 'certReqs', 'required'],
  [R, 'ssl-protocol-min', 'minTlsVersion', 'TLSv1.2 or TLSv1.3'],
  [R, 'ssl-* no-ssl-*', null, TLS],
  [W, 'https* ssl-* sni* http-to-https', null, TLS],

  // Log
  [
    ['gunicorn', 'uvicorn', 'granian'],
    'log-level loglevel',
    'logLevel',
    'warn and fatal for warning and critical',
  ],
  [
    G,
    'accesslog access-logfile disable-redirect-access-to-syslog',
    'accessLog',
    'its lines are gathered for 100 ms; a syslog is named here, too',
  ],
  [
    G,
    'access-log-format access-logformat',
    'accessLogFormat',
    'the same names, two more, and json; a name that stands for nothing is refused',
  ],
  [UR, 'access-log no-access-log', 'accessLog', ''],
  [R, 'access-log-fmt', 'accessLogFormat', ''],
  [W, 'req-logger logger-req log-req-route log-master-req-stream log-req-encoder', 'accessLog', ''],
  [W, 'log-format logformat log-format-strftime logformat-strftime', 'accessLogFormat', ''],
  [W, 'log-slow', 'slowRequest', 'in seconds; each is logged while it runs, with where it stands'],
  [W, 'disable-logging', 'logLevel', '--log-level silent'],
  [R, 'log no-log', 'logLevel', '--log-level silent'],
  [
    G,
    'errorlog error-logfile log-file logger-class logconfig* log-config* enable-stdio-inheritance R',
    null,
    LOGGING,
  ],
  [
    G,
    'log-syslog* syslog*',
    'accessLog',
    'syslog:HOST:PORT by UDP, or syslog:/dev/log; the log of the server goes to standard error, which a journal takes',
  ],
  [
    G,
    'capture-output',
    'captureOutput',
    'on, where --log-format is json; in text it stays where it was printed to',
  ],
  [UR, 'log-config', null, LOGGING],
  [U, 'use-colors no-use-colors', null, 'lines are coloured where standard error is a terminal'],
  [
    W,
    'log* daemonize* rsyslog* ignore-write-errors ignore-sigpipe disable-write-exception write-errors-* catch-exceptions exception-handler* notfound-log backtrace-depth threaded-logger touch-logre* touch-logrotate skip-zero not-log* not-alarm*',
    null,
    LOGGING,
  ],
  [
    G,
    'statsd* dogstatsd*',
    null,
    '--admin has metrics for Prometheus, from which an exporter or agent takes them',
  ],
  [
    G,
    'enable-backlog-metric',
    'admin',
    'it is among the metrics: lido_backlog_requests and lido_backlog_oldest_seconds',
  ],
  [
    R,
    'metrics metrics-address metrics-port no-metrics',
    'admin',
    'one address for metrics, health and status',
  ],
  [R, 'metrics-scrape-interval', null, 'metrics are counted when they are asked for'],
  [W, 'stats stats-server stats-http', 'admin', 'one address for metrics, health and status'],
  [
    W,
    'stats-* st enable-metrics metric* carbon* rrdtool* nagios snmp* alarm* segfault-alarm lq-alarm listen-queue-alarm backlog-alarm heartbeat ping*',
    null,
    '--admin has health checks, and metrics for Prometheus, which raises alarms',
  ],

  // Running it
  [G, 'check-config', null, 'lido check imports the application and serves nothing'],
  [G, 'print-config', null, 'lido config prints every setting with where it came from'],
  [G, 'reload', 'reload', 'a broken save shows its traceback in the browser, as there'],
  [G, 'reload-extra-file reload-extra-files', 'reloadExtra', 'folders and patterns, too'],
  [
    G,
    'reload-engine',
    null,
    'files are watched by the system; CHOKIDAR_USEPOLLING=1 looks at them again and again instead',
  ],
  [U, 'reload', 'reload', 'the modules that are loaded are watched, whatever folder they are in'],
  [U, 'reload-include', 'reloadExtra', ''],
  [U, 'reload-dir', 'reloadExtra', 'only for what is no module: those that are loaded are watched'],
  [
    U,
    'reload-exclude reload-delay',
    null,
    'only what the application has loaded is watched, and a burst of saves is one change',
  ],
  [R, 'reload no-reload', 'reload', 'the modules that are loaded are watched, whatever folder they are in'],
  [R, 'reload-paths', 'reloadExtra', 'only for what is no module: those that are loaded are watched'],
  [
    R,
    'reload-* no-reload-*',
    null,
    'only what the application has loaded is watched, and a burst of saves is one change',
  ],
  [W, 'py-autoreload py-auto-reload* python-auto* fs-reload', 'reload', ''],
  [
    W,
    'touch-reload touch-* fs-* brutal-reload-on-fd reload-os-env',
    null,
    'lido reload, or SIGHUP; while you write, --reload',
  ],
  [
    W,
    'reload',
    'reload',
    'it watches the files while you write; what it did is done by lido reload --pidfile PATH',
  ],
  [W, 'vacuum', null, 'it always holds: a Unix socket and the pidfile are removed at the end'],
  [
    W,
    'die-on-term no-orphans',
    null,
    'it always holds: SIGTERM ends the server and its processes, once what runs is finished',
  ],
  [W, 'notify-socket', null, 'systemd is told without being asked to, where $NOTIFY_SOCKET names it'],
  [G, 'spew', null, 'lido stacks shows where each worker stands; py-spy and perf look into a running server'],
  [W, 'profiler', null, 'node --cpu-prof, py-spy and perf look into a running server'],
  [G, 'pidfile pid p', 'pidfile', ''],
  [R, 'pid-file', 'pidfile', ''],
  [W, 'pidfile pidfile2 safe-pidfile*', 'pidfile', ''],
  [
    G,
    'umask m',
    'unixMode',
    "the mode of a Unix socket, where gunicorn's is 777 by default; for files UMask= of systemd",
  ],
  [G, 'daemon D', null, 'systemd runs it: deploy/lido.service'],
  [
    G,
    'user u group g initgroups',
    null,
    'User= and Group= of the unit, or of the container; a port below 1024 comes by its socket',
  ],
  [
    G,
    'proc-name name n default-proc-name',
    null,
    'ps shows the command line, which has the application in it',
  ],
  [R, 'process-name', null, SUPERVISE],
  [
    W,
    'uid gid umask add-gid no-initgroups immediate-* master-* procname* auto-procname exit-on-reload stop suspend resume pause drop-after-* prio cap unshare* chroot cgroup* ns* namespace* setns* jail* libjail jid* pivot* limit-* as-* exec-* hook-* call-* mount-* umount-* wait-* smart-attach* attach-* daemons-* legion* unique-* skip-atexit* flock* lock* use-abort propagate-touch auto-* privileged-* unprivileged-* connect-and-read extract binary-* binsh file-write test* max-fd max-apps worker-* no-server command-mode build-plugin cflags dot-h',
    null,
    SUPERVISE,
  ],
  [
    G,
    'on-* when-ready pre-* post-* worker-int worker-abort worker-exit child-exit nworkers-changed on-dirty-starting dirty-post-fork dirty-worker-init dirty-worker-exit ssl-context',
    null,
    'hooks are functions in lido.config.js or .ts: docs/from-gunicorn.md says which becomes which',
  ],
  [G, 'dirty-*', null, 'work that outlives a request is for Celery, RQ or a service of its own'],
  [G, 'control-socket', 'controlSocket', 'for lido reload, top and stats'],
  [
    G,
    'control-socket-* no-control-socket',
    null,
    'it is off unless --control-socket names one, and only its user may use it',
  ],
  [R, 'static-path-route static-path-mount', 'static', 'PATH=DIR'],
  [R, 'static-path-expires', 'staticCacheControl', 'by pattern'],
  [R, 'static-path-dir-to-file', null, "what a folder itself answers is the application's to say"],
  [W, 'static-map static-map2 check-static', 'static', 'PATH=DIR'],
  [W, 'static-expires*', 'staticCacheControl', 'by pattern'],
  [W, 'static-safe', 'staticLinks', ''],
  [
    W,
    'static* check-static-docroot mime* mimefile',
    null,
    'WhiteNoise and the proxy have what --static has not',
  ],
  [
    W,
    'route* final-route* error-route* response-route* add-header rem-header del-header pull-header collect-header inject-* http-var http-modifier* http-* error-page* router-list routers-list response-header* honour-* ignore-script-name vhost* check-mount* mountpoint* rbtimer* no-fd-passing',
    null,
    ROUTER,
  ],
  [
    W,
    'fastrouter* rawrouter* sslrouter* http* httprouter subscribe* subscription* unsubscribe* start-unsubscribed zerg* force-gateway forkbomb-delay puwsgi* weight resolve',
    null,
    ROUTER,
  ],
  [
    W,
    'emperor* vassal* imperial* early-emperor farm* mule* spooler* cron* cache* load-file-in-cache* queue* sharedarea* timer signal* rpc* symcall* add-cache-item check-cache persistent-ipcsem ftok rpc-max pump pcre-jit optimize',
    null,
    `${LIBRARY}; several applications are several services, or --mounts`,
  ],
  [
    W,
    'plugin* need-plugin* autoload dlopen blacklist end-blacklist whitelist end-whitelist allowed-modifiers cgi* mono* web3 dumbloop* clock* after-request-* help usage version fd-safe safe-fd mode sh* check-interval xml*',
    null,
    'Lido has no plugins: JavaScript and Python applications are what it runs',
  ],
];

/** The table, its rows in the order in which they are looked through. */
export const otherNames: readonly OtherName[] = ROWS.map(([servers, names, setting, text]) => ({
  servers,
  names: names.split(' '),
  setting,
  text,
}));

/** Spelling apart: graceful_timeout, graceful-timeout and gracefulTimeout are one. */
export function flatten(name: string): string {
  return name.replace(/[-_]/g, '').toLowerCase();
}

/**
 * What is known of a name that is not Lido's, of one server or of all: the rows that name it, or those with the longest
 * beginning of it where none does.
 */
export function findOtherNames(name: string, server?: OtherServer): readonly OtherName[] {
  const plain = flatten(name.replace(/^--?/, ''));
  const rows =
    server === undefined ? otherNames : otherNames.filter(({ servers }) => servers.includes(server));
  const scored = rows.map((row) => ({
    row,
    score: Math.max(...row.names.map((each) => match(each, plain))),
  }));
  const best = Math.max(0, ...scored.map(({ score }) => score));
  return best === 0 ? [] : scored.filter(({ score }) => score === best).map(({ row }) => row);
}

/** The setting of a row; a name that has become one of Lido's own since the row was written is that. */
export function settingOf({ setting, names }: OtherName): SettingName | null {
  if (setting !== null) return setting;
  return settingNames.find((own) => names.some((name) => flatten(name) === flatten(own))) ?? null;
}

/** How well a row's name fits: all of it, or so many letters of its beginning; 0 where it does not. */
function match(pattern: string, plain: string): number {
  if (!pattern.endsWith('*')) return flatten(pattern) === plain ? Number.POSITIVE_INFINITY : 0;
  const beginning = flatten(pattern.slice(0, -1));
  return plain.startsWith(beginning) ? beginning.length : 0;
}
