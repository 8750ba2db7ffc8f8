/** Main thread. The access log: one line for each request, gathered, and written a batch at a time. */
import { describe, LidoError } from '../contract/errors.js';
import type { Log } from '../log.js';
import { parseAccessFormat } from '../settings/access-format.js';
import { formatJson } from './access-json.js';
import { compileAccessFormat } from './access-line.js';
import type { FinishedRequest } from './finished-request.js';
import type { LineSink } from './line-file.js';
import { LocalSyslog } from './local-syslog.js';
import { SYSLOG_PORT, Syslog } from './syslog.js';

export interface AccessLogSettings {
  /** A file, '-' for standard output, `syslog:HOST[:PORT]`, `syslog:/dev/log`; null for none. */
  readonly accessLog: string | null;
  /** `combined`, `common`, `json`, or a format of gunicorn's. */
  readonly accessLogFormat: string;
}

/** Lines are written when so much has come together... Characters. */
const BATCH = 16 * 1024;
/** ...or after so long: whoever follows the file sees them as they come. Milliseconds. */
const BATCH_MS = 100;

/** Null where none is asked for. */
export function createAccessLog(
  { accessLog, accessLogFormat }: AccessLogSettings,
  log: Log,
): AccessLog | null {
  return accessLog === null ? null : new AccessLog(accessLog, accessLogFormat, log);
}

export class AccessLog {
  readonly #where: string;
  readonly #log: Log;
  readonly #writeLine: (request: FinishedRequest) => void;
  #sink: LineSink | null = null;
  #batch = '';
  #timer: NodeJS.Timeout | null = null;

  /** Writes nothing before open(). */
  constructor(where: string, format: string, log: Log) {
    this.#where = where;
    this.#log = log;
    const formatLine = format === 'json' ? formatJson : compileAccessFormat(parseAccessFormat(format));
    this.#writeLine = (request) => this.#add(`${formatLine(request)}\n`);
  }

  /** Rejects with LIDO_WRONG_SETTING where it cannot be written. */
  async open(): Promise<void> {
    try {
      this.#sink = await openSink(this.#where, this.#log);
    } catch (error) {
      const details = ['accessLog', `${this.#where}: ${describe(error)}`];
      throw new LidoError('LIDO_WRONG_SETTING', details, { cause: error });
    }
  }

  /** Writes the line of a request. */
  write(request: FinishedRequest): void {
    this.#writeLine(request);
  }

  /** After log rotation: what comes from here on goes into a new file of the same name. */
  reopen(): void {
    this.#flush();
    this.#sink?.reopen();
  }

  /** Writes what is left. Never rejects. */
  async close(): Promise<void> {
    this.#flush();
    await this.#sink?.close();
  }

  #add(line: string): void {
    this.#batch += line;
    if (this.#batch.length >= BATCH) this.#flush();
    else this.#timer ??= setTimeout(this.#flush, BATCH_MS).unref();
  }

  readonly #flush = (): void => {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#batch === '') return;
    this.#sink?.write(this.#batch);
    this.#batch = '';
  };
}

async function openSink(where: string, log: Log): Promise<LineSink> {
  const [, bracketed, plain = '', port = SYSLOG_PORT] =
    /^syslog:(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(where) ?? [];
  const host = bracketed ?? plain;
  if (host.startsWith('/')) return LocalSyslog.open(host, log);
  if (host !== '') return new Syslog(host, Number(port), log);
  // Only who names a file pays for loading what writes it.
  const { LineFile } = await import('./line-file.js');
  return new LineFile(where, log);
}
