/** Main thread. What is set for another server, or by the system, and means nothing here: for the log. Pure. */
import type { Resolved } from '../settings/resolved.js';
import type { SettingName } from '../settings/table.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the command runs. */
export interface Surroundings {
  readonly environment: Environment;
  readonly pid: number;
  /** Whether a config file of Lido's is read. */
  readonly isConfigured: boolean;
  readonly servesPython: boolean;
  /** Whether the working directory has a file of this name. */
  readonly hasFile: (name: string) => boolean;
}

/** What other servers take options from, each by its beginning. */
const PREFIXES: readonly (readonly [prefix: string, page: string])[] = [
  ['UVICORN_', 'docs/from-uvicorn.md'],
  ['GRANIAN_', 'docs/from-granian.md'],
  ['UWSGI_', 'docs/from-uwsgi.md'],
];

/** Kubernetes sets UWSGI_SERVICE_HOST, UWSGI_PORT=tcp://... and UWSGI_PORT_80_TCP_ADDR for a service that is called uwsgi. */
const OF_A_SERVICE = /^[A-Z]+_(SERVICE_|PORT_\d+_|PORT=\w+:\/\/)/;

/** One line for each thing that whoever set it may believe in. */
export function findUnread({ settings, origins }: Resolved, around: Surroundings): string[] {
  const { environment } = around;
  const isSet = (variable: string) => (environment[variable] ?? '') !== '';
  const isDefault = (...names: readonly SettingName[]) => names.every((name) => origins[name] === 'default');
  const lines = PREFIXES.flatMap(([prefix, page]) => describePrefix(environment, prefix, page));
  if (isSet('GUNICORN_CMD_ARGS'))
    lines.push(
      'GUNICORN_CMD_ARGS is not read: write the options behind lido, or as LIDO_ variables (docs/from-gunicorn.md)',
    );
  if (!around.isConfigured && around.hasFile('gunicorn.conf.py'))
    lines.push('gunicorn.conf.py is not read: lido.config.toml takes its place (docs/from-gunicorn.md)');
  if (isSet('FORWARDED_ALLOW_IPS') && isDefault('forwardedAllowIps'))
    lines.push(
      'FORWARDED_ALLOW_IPS is not read, and no proxy is believed: LIDO_FORWARDED_ALLOW_IPS names them here',
    );
  if (isSet('WEB_CONCURRENCY') && around.servesPython && isDefault('processes', 'threads', 'maxThreads'))
    lines.push(
      'WEB_CONCURRENCY is not read: one process with threads serves most applications, LIDO_THREADS and LIDO_PROCESSES say how many',
    );
  lines.push(...describeSockets(environment, around.pid, settings.bind));
  return lines;
}

function describePrefix(environment: Environment, prefix: string, page: string): string[] {
  const variables = Object.keys(environment)
    .filter((name) => name.startsWith(prefix))
    .filter((name) => !OF_A_SERVICE.test(`${name}=${environment[name]}`));
  if (variables.length === 0) return [];
  const verb = variables.length === 1 ? 'is' : 'are';
  return [`${variables.join(', ')} ${verb} not read: LIDO_ variables take their place (${page})`];
}

/** Whoever connects to a socket that systemd opened, and that nobody takes, waits for ever. */
function describeSockets(
  { LISTEN_FDS = '', LISTEN_PID = '' }: Environment,
  pid: number,
  bind: readonly string[],
): string[] {
  if (!(Number(LISTEN_FDS) > 0) || bind.some((address) => address.startsWith('fd:'))) return [];
  if (LISTEN_PID === String(pid))
    return [
      'the sockets that systemd opened (LISTEN_FDS) are not listened on: --bind names others, fd://3 is the first of them',
    ];
  if (LISTEN_PID === '')
    return [
      'LISTEN_FDS is set without LISTEN_PID, and its sockets are not listened on: --bind fd://3 takes the first of them',
    ];
  return [
    `the sockets that systemd opened (LISTEN_FDS) are for process ${LISTEN_PID}, and this is ${pid}: let ExecStart= run lido itself, or a shell that does so by exec, and not npm`,
  ];
}
