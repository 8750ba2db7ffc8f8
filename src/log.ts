/** Main thread. The log: pino, as Fastify uses, to standard error; lines for people, or JSON for machines. */
import { createRequire } from 'node:module';
import type { DestinationStream, Logger, pino } from 'pino';
import type pretty from 'pino-pretty';
import { describe } from './contract/errors.js';
import { LogOutput } from './log-output.js';
import { settleTimeZone } from './time-zone.js';

/** What Lido asks of a log: pino has it, and so has Fastify's. */
export type Log = Pick<Logger, Level>;

type Level = 'error' | 'warn' | 'info';

export interface LogSettings {
  /** The least severe lines that are logged: pino's levels, or `silent`. */
  readonly logLevel: string;
  readonly logFormat: 'text' | 'json';
}

/** Descriptors: of the log, and of what else Lido writes to standard output. */
interface Descriptors {
  readonly log: number;
  readonly output: number;
}

let descriptors: Descriptors = { log: 2, output: 1 };

export function findDescriptors(): Descriptors {
  return descriptors;
}

/** Call it before a log is made: where somebody reads this process's standard error and output, Lido's lines go past that. */
export function moveDescriptors(to: Descriptors): void {
  descriptors = to;
}

/** Only a log of JSON has need of what an application prints: in text it looks as it always has. */
export function capturesOutput({
  captureOutput,
  logFormat,
}: Pick<LogSettings, 'logFormat'> & { readonly captureOutput: boolean }): boolean {
  return captureOutput && logFormat === 'json';
}

/**
 * Makes the log. Text is the default also where no terminal is: people read `docker logs` and journals too. Neither
 * format lets a client forge a line: JSON escapes what it wrote, and so does `escapeControls` for text.
 *
 * pino, and what makes lines for people, are loaded with the first line: a process that starts well writes none.
 */
export function createLog(settings: LogSettings): Log {
  let log: Logger | null = null;
  const output = new LogOutput(descriptors.log, (lost) =>
    write('warn', `${lost} lines of this log could not be written`),
  );
  const write = (level: Level, ...line: readonly unknown[]) => {
    try {
      log ??= loadLog(settings, output);
    } catch {
      writePlainly(settings, output, level, line);
      return;
    }
    (log[level] as (...line: readonly unknown[]) => void)(...line);
  };
  return {
    error: (...line: readonly unknown[]) => write('error', ...line),
    warn: (...line: readonly unknown[]) => write('warn', ...line),
    info: (...line: readonly unknown[]) => write('info', ...line),
  };
}

const require = createRequire(import.meta.url);

function loadLog({ logLevel, logFormat }: LogSettings, output: LogOutput): Logger {
  const makeLog = require('pino') as typeof pino;
  return makeLog({ level: logLevel, base: null }, logFormat === 'json' ? output : loadText(output));
}

/** pino's numbers of levels. */
const NUMBERS: Readonly<Record<Level, number>> = { error: 50, warn: 40, info: 30 };

/** A process that has no descriptor left can load nothing, and it is then that it has something to say. */
function writePlainly(
  { logLevel }: LogSettings,
  output: LogOutput,
  level: Level,
  [first, text]: readonly unknown[],
): void {
  if (logLevel === 'silent') return;
  const fields = typeof first === 'object' ? { ...first, msg: text } : { msg: first };
  const line = { level: NUMBERS[level], time: Date.now(), ...fields };
  output.write(`${JSON.stringify(line, (_, value) => (value instanceof Error ? describe(value) : value))}\n`);
}

function loadText(output: LogOutput): DestinationStream {
  const makePretty = require('pino-pretty') as typeof pretty;
  return makePretty({
    destination: output,
    colorize: process.stderr.isTTY === true,
    translateTime: false,
    customPrettifiers: { time: createClock() },
    ignore: 'traceback,requestId,traceId,method,url,code',
    messageFormat: formatMessage,
  });
}

/** Writes a time as `[2026-11-21 14:04:19.123 +0100]`, in the zone that settleTimeZone() settled. */
function createClock(): (epochMs: unknown) => string {
  settleTimeZone();
  return (epochMs) => {
    const time = new Date(Number(epochMs));
    const day = [time.getFullYear(), pad(time.getMonth() + 1, 2), pad(time.getDate(), 2)].join('-');
    const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
      .map((part) => pad(part, 2))
      .join(':');
    return `[${day} ${clock}.${pad(time.getMilliseconds(), 3)} ${formatOffset(-time.getTimezoneOffset())}]`;
  };
}

/** Minutes east of UTC as `+0100`. */
function formatOffset(minutes: number): string {
  const distance = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(distance / 60), 2)}${pad(distance % 60, 2)}`;
}

function pad(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}

/** `LIDO_APPLICATION_RAISED GET /path [id trace] message`, and the traceback below it. */
function formatMessage(line: Record<string, unknown>, messageKey: string): string {
  const { code, method, url, requestId, traceId, traceback } = line;
  const request = method === undefined ? [] : [String(method), String(url)];
  const names = [requestId, traceId].filter((name) => name !== undefined);
  const words = [code, ...request, ...(names.length === 0 ? [] : [`[${names.join(' ')}]`]), line[messageKey]];
  const message = words
    .filter((word) => word !== undefined)
    .map((word) => escapeControls(String(word)))
    .join(' ');
  if (traceback === undefined) return message;
  return `${message}\n${String(traceback)
    .trimEnd()
    .split('\n')
    .map((row) => `    ${escapeControls(row)}`)
    .join('\n')}`;
}

/** What is no printable character is written as an escape, so that it neither starts a line nor moves the cursor. */
export function escapeControls(text: string): string {
  return text.replace(
    /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
