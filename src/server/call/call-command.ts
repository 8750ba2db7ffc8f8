/** Main thread. `lido call` and `lido cgi`: one request, its answer on standard output. */
import { createWriteStream, readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { LidoError } from '../../contract/errors.js';
import type { Log } from '../../log.js';
import type { Settings } from '../../settings/table.js';
import { answerOnce, exitStatusOf, type Outcome } from './answer-once.js';
import { CallRequest } from './call-request.js';
import { CgiRequest } from './cgi-request.js';
import { formatCgiHead, formatHttpHead } from './head-formats.js';
import { endOutput, OutputSink } from './output-sink.js';

/** The words of `lido call`, by curl's habits. */
export interface CallFlags {
  readonly method: string | null;
  readonly target: string;
  readonly header: readonly string[];
  /** Text, `@FILE`, or `-` for standard input; null for no body. */
  readonly data: string | null;
  /** Print the head before the body. */
  readonly include: boolean;
  /** Write the body to this file instead of standard output; null for that. */
  readonly output: string | null;
}

/** Answers one request that the command line describes. Resolves with the command's exit status. */
export async function call(settings: Settings, log: Log, flags: CallFlags): Promise<Ended> {
  const body = flags.data === null ? null : await readData(flags.data);
  const { method, target, header } = flags;
  const request = new CallRequest({ method, target, fields: header, body });
  const output = openOutput(flags.output);
  const showsHead = flags.include || request.method === 'HEAD';
  const sink = new OutputSink(output, request.method, showsHead ? formatHttpHead : () => '');
  const outcome = await answerOnce(settings, log, request, sink);
  await endOutput(output);
  return describeEnd(outcome, exitStatusOf(outcome.status));
}

/**
 * Answers the request that a web server has put into the environment and into standard input. Resolves with exit status 0
 * for every whole answer: an error status is the client's to see, and the web server passes it on.
 */
export async function serveCgi(settings: Settings, log: Log): Promise<Ended> {
  const request = new CgiRequest(process.env, process.stdin);
  const sink = new OutputSink(process.stdout, request.method, formatCgiHead);
  const outcome = await answerOnce(settings, log, request, sink);
  return describeEnd(outcome, outcome.status === null ? 5 : 0);
}

export interface Ended {
  readonly exitStatus: number;
  /** False where a worker is stuck inside Python, and only the end of the process ends it. */
  readonly isEnded: boolean;
}

function describeEnd({ isEnded }: Outcome, exitStatus: number): Ended {
  return { exitStatus, isEnded };
}

async function readData(data: string): Promise<Buffer> {
  if (data === '-' || data === '@-') return buffer(process.stdin);
  if (!data.startsWith('@')) return Buffer.from(data);
  try {
    return readFileSync(data.slice(1));
  } catch (error) {
    const { message } = error as Error;
    throw new LidoError('LIDO_WRONG_CALL', [`-d ${data}`, `cannot be read: ${message}`], { cause: error });
  }
}

function openOutput(path: string | null): Writable {
  return path === null || path === '-' ? process.stdout : createWriteStream(path);
}
