// The lido command as a child process: started, waited for, stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Place {
  readonly cwd: string;
  readonly env?: Record<string, string>;
  /** How many descriptors it may have. */
  readonly descriptors?: number;
}

export interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  /** Everything written to standard error so far. */
  readonly stderr: () => string;
  readonly stdout: () => string;
  /** Resolves when standard error contains the text. */
  readonly waitFor: (text: string) => Promise<void>;
  readonly ended: Promise<Ended>;
}

/** A directory with these files, removed after the test. */
export function makeFolder(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lido-test-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** Runs the command to its end. */
export async function runLido(words: readonly string[], place: Place): Promise<Ended> {
  return await startLido(words, place).ended;
}

/** Starts the command and waits until it listens. */
export async function serveLido(words: readonly string[], place: Place): Promise<Running> {
  const { child, stdout, stderr, waitFor, ended } = startLido(['--bind', '127.0.0.1:0', ...words], place);
  await waitFor('http://127.0.0.1:');
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(stderr())?.[0] ?? '';
  return { child, url, stdout, stderr, waitFor, ended };
}

/** Starts the command; it is killed after the test. */
export function startLido(
  words: readonly string[],
  { cwd, env = {}, descriptors }: Place,
): Omit<Running, 'url'> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('LIDO_'));
  const command = [process.execPath, CLI, ...words];
  // A shell alone can set the limit; it changes PWD, too.
  const [program = '', ...rest] =
    descriptors === undefined
      ? command
      : ['sh', '-c', `ulimit -n ${descriptors}; exec "$0" "$@"`, ...command];
  const child = spawn(program, rest, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...output }));
  });
  const waitFor = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (output.stderr.includes(text)) resolve();
      };
      child.stderr.on('data', look);
      child.on('close', () => reject(new Error(`it ended before it wrote ${text}:\n${output.stderr}`)));
      look();
    });
  return { child, stdout: () => output.stdout, stderr: () => output.stderr, waitFor, ended };
}
