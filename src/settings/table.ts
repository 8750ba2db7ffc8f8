/**
 * The one table of settings. The types, the command line, the environment, the config file, docs/settings.md and the
 * JSON schema all derive from it; a test holds them together.
 */

export type SettingType =
  | 'application'
  | 'string'
  | 'strings'
  | 'addresses'
  | 'proxies'
  | 'pairs'
  | 'integer'
  | 'seconds'
  | 'bytes'
  | 'boolean'
  | 'mounts';

/**
 * What a setting is about, where that is more than one application: the whole process, the server's sockets, or the
 * server. A mount takes none of these, and whoever embeds Lido looks after its process, its sockets, or both.
 */
export type SettingScope = 'process' | 'listener' | 'server';
export type SettingGroup =
  | 'Application'
  | 'Listening'
  | 'Workers'
  | 'Python'
  | 'Time-outs'
  | 'Limits'
  | 'Log';

export interface Setting {
  readonly type: SettingType;
  readonly group: SettingGroup;
  readonly scope?: SettingScope;
  /** What holds when nobody says otherwise; null where it is found out at start. */
  readonly default: string | number | boolean | readonly string[] | null;
  /** One line, for --help and the settings page. */
  readonly text: string;
  /** How a value looks in --help. */
  readonly value?: string;
  /** Values that are allowed, where they can be listed. */
  readonly choices?: readonly string[];
  /** The smallest number that is allowed. */
  readonly min?: number;
  /** What parts the items of a list in its environment variable; a comma unless it says otherwise. */
  readonly separator?: RegExp;
  /** Other servers' names for it, for "did you mean". */
  readonly also?: readonly string[];
}

export const settings = {
  application: {
    type: 'application',
    group: 'Application',
    default: null,
    text: 'what to serve, as MODULE:CALLABLE; on the command line it comes without a flag',
    value: 'MODULE:CALLABLE',
    also: ['wsgi_app', 'app', 'module', 'wsgi', 'wsgi-file', 'callable'],
  },
  mounts: {
    type: 'mounts',
    group: 'Application',
    scope: 'server',
    default: null,
    text: 'several applications by their paths, instead of one; the longest path that fits wins; repeatable',
    value: 'PATH=MODULE:CALLABLE',
    also: ['mount'],
  },
  runtime: {
    type: 'string',
    group: 'Application',
    default: 'auto',
    choices: ['auto', 'javascript', 'cpython'],
    text: 'what runs the application; auto goes by the file that is found',
    also: ['worker_class', 'k'],
  },
  chdir: {
    type: 'string',
    group: 'Application',
    scope: 'process',
    default: null,
    text: 'change to this directory before anything is looked for',
    value: 'DIR',
  },
  env: {
    type: 'pairs',
    group: 'Application',
    scope: 'process',
    default: [],
    text: 'set an environment variable for the application; repeatable',
    value: 'KEY=VALUE',
    separator: /,(?=[A-Za-z_]\w*=)/,
    also: ['raw_env', 'e'],
  },
  debug: {
    type: 'boolean',
    group: 'Application',
    default: false,
    text: 'show tracebacks to clients; never in production',
  },
  validate: {
    type: 'boolean',
    group: 'Application',
    default: false,
    text: 'hold the application and Lido to PEP 3333 by lido/validator, or wsgiref.validate in Python; for development',
  },
  bind: {
    type: 'addresses',
    group: 'Listening',
    scope: 'listener',
    default: ['127.0.0.1:8000'],
    text: 'listen here: HOST:PORT, [IPV6]:PORT, PORT or unix:PATH; repeatable; port 0 takes a free one',
    value: 'ADDRESS',
    also: ['b', 'http', 'socket', 'http-socket', 'host', 'port', 'address'],
  },
  processes: {
    type: 'integer',
    group: 'Workers',
    scope: 'process',
    default: 1,
    min: 1,
    text: 'processes, each with an acceptor and worker threads of its own',
    value: 'N',
  },
  threads: {
    type: 'integer',
    group: 'Workers',
    default: null,
    min: 1,
    text: 'worker threads of each process; by default the cores shared out, but 1 where threads would share one GIL',
    value: 'N',
    also: ['w', 'workers'],
  },
  concurrency: {
    type: 'integer',
    group: 'Workers',
    default: 1,
    min: 1,
    text: 'requests at once in one worker; more than 1 only helps asynchronous applications',
    value: 'N',
    also: ['worker_connections'],
  },
  backlog: {
    type: 'integer',
    group: 'Workers',
    default: 2048,
    min: 0,
    text: 'requests that may wait for a worker; one more is answered with 503',
    value: 'N',
    also: ['listen'],
  },
  python: {
    type: 'string',
    group: 'Python',
    default: null,
    text: 'an interpreter or a virtual environment; by default $VIRTUAL_ENV, .venv, then python3 on PATH',
    value: 'PATH',
    also: ['venv', 'virtualenv', 'home'],
  },
  pythonInterpreter: {
    type: 'string',
    group: 'Python',
    default: 'shared',
    choices: ['shared', 'isolated'],
    value: 'KIND',
    text: 'one interpreter for all threads, which share its GIL, or one for each with a GIL of its own (CPython 3.13 and later)',
    also: ['single-interpreter'],
  },
  pythonpath: {
    type: 'strings',
    group: 'Python',
    default: [],
    text: 'directories to put in front of sys.path; repeatable, or parted by a colon',
    value: 'DIRS',
    separator: /:/,
    also: ['pp', 'python-path'],
  },
  timeout: {
    type: 'seconds',
    group: 'Time-outs',
    default: 30,
    min: 0,
    text: 'an application that gives no sign for so long is ended with 504; 0 for no limit',
    value: 'SECONDS',
    also: ['t', 'harakiri'],
  },
  gracefulTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'server',
    default: 30,
    min: 0,
    text: 'at shutdown, how long running requests may take to finish',
    value: 'SECONDS',
  },
  keepalive: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'listener',
    default: 75,
    min: 0,
    text: 'how long an idle connection is kept; longer than a load balancer keeps its own',
    value: 'SECONDS',
    also: ['keep_alive', 'http-keepalive'],
  },
  headerTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    scope: 'listener',
    default: 60,
    min: 0,
    text: 'how long a client may take to send a request head; 0 for no limit',
    value: 'SECONDS',
  },
  bodyTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    default: 60,
    min: 0,
    text: 'how long a client may pause within a request body; 0 for no limit',
    value: 'SECONDS',
  },
  sendTimeout: {
    type: 'seconds',
    group: 'Time-outs',
    default: 60,
    min: 0,
    text: 'how long a client may take nothing of a response; 0 for no limit',
    value: 'SECONDS',
  },
  forwardedAllowIps: {
    type: 'proxies',
    group: 'Listening',
    scope: 'server',
    default: [],
    text: 'proxies whose word on the client is taken: addresses, networks (10.0.0.0/8), unix for Unix sockets, * for everyone',
    value: 'ADDRESS',
    also: ['forwarded_allow_ips', 'trusted_proxy', 'trust_proxy', 'proxies'],
  },
  forwardedFields: {
    type: 'strings',
    group: 'Listening',
    scope: 'server',
    default: ['x-forwarded-for', 'x-forwarded-proto'],
    choices: ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'forwarded'],
    text: 'header fields that those proxies set themselves; any other comes from the client as it is',
    value: 'FIELD',
    also: ['secure_scheme_headers', 'trusted_proxy_headers'],
  },
  limitRequestLine: {
    type: 'bytes',
    group: 'Limits',
    default: 8190,
    min: 1,
    text: 'the longest request line',
    value: 'BYTES',
    also: ['buffer-size'],
  },
  limitRequestFields: {
    type: 'integer',
    group: 'Limits',
    default: 100,
    min: 1,
    text: 'the most header fields of a request',
    value: 'N',
  },
  limitRequestFieldSize: {
    type: 'bytes',
    group: 'Limits',
    default: 8190,
    min: 1,
    text: 'the longest header field, name and value',
    value: 'BYTES',
  },
  maxBodySize: {
    type: 'bytes',
    group: 'Limits',
    default: 0,
    min: 0,
    text: 'the largest request body; 0 for no limit',
    value: 'BYTES',
    also: ['limit-post', 'client_max_body_size', 'bodyLimit'],
  },
  logLevel: {
    type: 'string',
    group: 'Log',
    scope: 'server',
    default: 'info',
    value: 'LEVEL',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    text: 'the least severe lines that are logged',
    also: ['loglevel'],
  },
  logFormat: {
    type: 'string',
    group: 'Log',
    scope: 'server',
    default: 'text',
    choices: ['text', 'json'],
    text: 'lines for people, or one JSON object a line for machines',
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
      : S['type'] extends 'strings' | 'addresses' | 'proxies' | 'pairs'
        ? readonly string[]
        : S['type'] extends 'boolean'
          ? boolean
          : S['type'] extends 'string' | 'application'
            ? string
            : number;

/** The settings about one of these. */
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

/** What holds: every setting with its value, frozen. */
export type Settings = {
  readonly [N in Exclude<SettingName, 'mounts'>]:
    | ValueOf<(typeof settings)[N]>
    | ((typeof settings)[N]['default'] extends null ? null : never);
} & { readonly mounts: Mounts | null };

/** What a person writes: any of the settings. */
export type UserSettings = { readonly [N in SettingName]?: ValueOf<(typeof settings)[N]> };

/** The settings about these. */
export function namesInScope(...scopes: readonly SettingScope[]): SettingName[] {
  return settingNames.filter((name) => {
    const { scope }: Setting = settings[name];
    return scope !== undefined && scopes.includes(scope);
  });
}

/** Lists are repeatable flags, and parted text in the environment. */
export function isList({ type }: Setting): boolean {
  return (
    type === 'strings' || type === 'addresses' || type === 'proxies' || type === 'pairs' || type === 'mounts'
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
