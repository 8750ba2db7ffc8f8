/**
 * Main thread of the supervisor. What a process writes past Lido's log ► lines of the log: native code's words, Node's own when
 * it dies, and what programs write that the application starts.
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { createLog } from '../log.js';

/** What the log and the access log have as descriptors in a process whose standard output and error are read. */
export const PROCESS_DESCRIPTORS = { log: 5, output: 6 };

/** A process's descriptors. Where its standard output and error are read, its log goes past that. `vacancyFd` is its descriptor 4. */
export function arrangeDescriptors(isRead: boolean, vacancyFd: number | null): StdioOptions {
  const vacancies = vacancyFd ?? 'ignore';
  if (isRead) return ['inherit', 'pipe', 'pipe', 'ipc', vacancies, 2, 1];
  return ['inherit', 'inherit', 'inherit', 'ipc', ...(vacancyFd === null ? [] : [vacancyFd])];
}

/** Characters of a line without an end that are kept. */
const MAX_PARTIAL = 65_536;
/** A program that the process has left behind may keep a stream open. Milliseconds. */
const REST_MS = 500;

/** Logs it, as JSON, until the process has ended; call the function that it returns then, which resolves when the rest is logged. */
export function logOutput({ pid, stdout, stderr }: ChildProcess): () => Promise<unknown> {
  // What a program prints is no line of Lido's, to be left out for its level.
  const lines = createLog({ logLevel: 'trace', logFormat: 'json' });
  const ends = [
    readLines(stdout as Readable, (line) => lines.info({ pid, stream: 'stdout' }, line)),
    readLines(stderr as Readable, (line) => lines.error({ pid, stream: 'stderr' }, line)),
  ];
  return () => Promise.race([Promise.all(ends), pause(REST_MS, undefined, { ref: false })]);
}

/** Resolves at the stream's end. */
function readLines(stream: Readable, log: (line: string) => void): Promise<void> {
  let partial = '';
  return new Promise((resolve) => {
    stream.setEncoding('utf8').on('data', (text: string) => {
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      if (partial.length > MAX_PARTIAL) {
        lines.push(partial);
        partial = '';
      }
      for (const line of lines) if (line !== '') log(line);
    });
    stream.once('close', () => {
      if (partial !== '') log(partial);
      resolve();
    });
  });
}
