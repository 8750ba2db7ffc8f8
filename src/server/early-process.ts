/**
 * Main thread of the command. A process under the supervisor, begun before the command has read its own code: that takes as
 * long as Node.js needs to begin, and the two go side by side. Whether there will be a supervisor is not known yet, so it is
 * guessed from the command line; what was guessed wrong is ended again, and a process is made in the ordinary way.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ToProcess } from './process-messages.js';
import { arrangeDescriptors } from './process-output.js';

export const PROCESS_FILE = fileURLToPath(new URL('../bundled/process-entry.cjs', import.meta.url));

/** Words by which a command serves nothing, or serves otherwise than by one process of this kind. */
const OTHERWISE =
  /^(call|cgi|check|config|help|profile|reload|stacks|stats|top|-h|-v|--(help|version|no-supervise|chdir|processes|log-format)(=.*)?)$/;
/** The same, said by the environment. */
const OTHERWISE_BY_VARIABLE = ['LIDO_CHDIR', 'LIDO_LOG_FORMAT', 'LIDO_PROCESSES', 'LIDO_SUPERVISE'];

interface EarlyProcess {
  readonly child: ChildProcess;
  /** The application that it is for, as it was named. */
  readonly name: string;
  /** Of describeSelf(). */
  readonly self: string;
  readonly environment: Readonly<NodeJS.ProcessEnv>;
  /** Ends it. */
  readonly end: () => void;
}

let early: EarlyProcess | null = null;

/** Begins a process where these words, and this environment, will most likely serve a Python application by one. */
export function forkEarly(words: readonly string[], environment: NodeJS.ProcessEnv): void {
  if (words.some((word) => OTHERWISE.test(word))) return;
  if (OTHERWISE_BY_VARIABLE.some((name) => environment[name] !== undefined)) return;
  const name = [...words, environment.LIDO_APPLICATION ?? ''].find(namesPython);
  if (name === undefined) return;
  const child = fork(PROCESS_FILE, [name], { stdio: arrangeDescriptors(false, null) });
  // One that is gone when it is wanted is not missed.
  child.on('error', () => {});
  child.send(['prepare'] satisfies ToProcess, () => {});
  child.unref();
  child.channel?.unref();
  const end = () => void child.kill('SIGKILL');
  process.once('exit', end);
  early = { child, name, self: describeSelf(), environment: { ...environment }, end };
}

/**
 * Gives it away to whoever is to serve this application, with the plain descriptors of such a process. Null where there is none,
 * or it began with something else than a process would begin with now; `name` is null where none is wanted. What is not given
 * away is ended.
 */
export function takeEarly(name: string | null): ChildProcess | null {
  if (early === null) return null;
  const { child, end, ...begun } = early;
  early = null;
  process.off('exit', end);
  const isFit = begun.name === name && begun.self === describeSelf() && isSame(begun.environment);
  const isThere = child.connected && child.exitCode === null && child.signalCode === null;
  if (!isFit || !isThere) {
    end();
    return null;
  }
  child.ref();
  child.channel?.ref();
  return child;
}

/** What a process has from the one that forks it: a config file or a hook may enter a folder, set the umask, become another user. */
function describeSelf(): string {
  const user = [
    process.getuid?.(),
    process.geteuid?.(),
    process.getgid?.(),
    process.getegid?.(),
    process.getgroups?.(),
  ];
  return JSON.stringify([process.cwd(), process.umask(), user]);
}

/** Some variables count only for what has them from its beginning: NODE_OPTIONS, LD_PRELOAD. */
function isSame(environment: Readonly<NodeJS.ProcessEnv>): boolean {
  const names = Object.keys(process.env);
  return (
    names.length === Object.keys(environment).length &&
    names.every((name) => process.env[name] === environment[name])
  );
}

/** "shop.py", "shop.wsgi:application": a file of Python, seen from here. */
function namesPython(word: string): boolean {
  const [module = ''] = word.split(':');
  if (module === '' || module.startsWith('-')) return false;
  if (module.endsWith('.py')) return existsSync(module);
  const path = module.replaceAll('.', '/');
  return [`${module}.py`, `${path}.py`, `${path}/__init__.py`].some((file) => existsSync(file));
}
