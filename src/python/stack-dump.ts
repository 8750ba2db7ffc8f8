/** Main thread. Where Python's threads stand although somebody keeps the GIL: faulthandler writes it, within a signal. */
import { ftruncateSync, readSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { PythonThread, StackDump } from '../contract/protocol.js';

const OWN_CODE = fileURLToPath(new URL('../../workers/python/', import.meta.url));

/** The handler is done before kill() returns, unless another thread than the process's first one embeds Lido. Milliseconds. */
const HANDLER_MS = 20;
/** faulthandler writes 100 threads of 100 frames at most; what is beyond this of them is left out. Bytes. */
const MAX_SIZE = 256 * 1024;

/** `Thread 0x00007f31b67fc6c0 (most recent call first):`; from 3.14 on with the thread's name. */
const THREAD = /^(?:Current thread|Thread) 0x(?<identity>[0-9a-f]+)(?: \[(?<name>.*)\])? \(/;
/** `File "/srv/app.py", line 12 in view` */
const FRAME = /^ *File "(?<file>.*)", line (?<line>\d+|\?\?\?) in (?<name>.*)$/;

/** Has all stacks written, and reads them. Call it only where nobody runs Python code: frames that come and go are not safe to read. */
export async function dumpStacks({ signal, fd }: StackDump): Promise<readonly PythonThread[]> {
  ftruncateSync(fd, 0);
  process.kill(process.pid, signal);
  await pause(HANDLER_MS, undefined, { ref: false });
  const text = Buffer.alloc(MAX_SIZE);
  return parseDump(text.toString('utf8', 0, readSync(fd, text, 0, MAX_SIZE, 0)));
}

/** `worker` is the identity of each thread, worker or not: faulthandler does not know. */
export function parseDump(text: string): readonly PythonThread[] {
  return text.split('\n\n').flatMap((part) => {
    const [first = '', ...rows] = part.trim().split('\n');
    const { identity, name = '' } = THREAD.exec(first)?.groups ?? {};
    if (identity === undefined || rows[0]?.trim() === '<no Python frame>') return [];
    return [
      { worker: Number.parseInt(identity, 16), request: 0, tasks: [], name, stack: formatFrames(rows) },
    ];
  });
}

/** One text of those that are in an application, for people; '' where none is. */
export function formatThreads(threads: readonly PythonThread[]): string {
  const busy = threads.filter(({ stack }) => stack !== '');
  return busy.map(({ stack }) => `Thread (most recent call last):\n${stack}`).join('');
}

/** In the order of a traceback: the innermost last. */
function formatFrames(rows: readonly string[]): string {
  const frames = rows.flatMap((row, index) => {
    const { file, line, name } = FRAME.exec(row)?.groups ?? {};
    // What JavaScript runs has no file, and nobody called it.
    const isCode = file === '<string>' && index === rows.length - 1;
    return file === undefined || name === undefined || isCode || isOwn(file, name)
      ? []
      : [`  File "${file}", line ${line}, in ${name}\n`];
  });
  return frames.reverse().join('');
}

/** As in workers/python/failures.py. */
function isOwn(file: string, name: string): boolean {
  if (file.endsWith('/threading.py')) return ['_bootstrap', '_bootstrap_inner', 'run'].includes(name);
  return (
    file.startsWith(OWN_CODE) ||
    file.startsWith('<frozen importlib') ||
    file.endsWith('/importlib/__init__.py')
  );
}
