// Starts Lido in this process on a free port, with its log kept, and closes it after the test.
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { createServer, type Server } from '../../dist/src/server/server.js';
import { resolveUserSettings, type UserSettings } from '../../dist/src/settings/resolve.js';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const venv = `${root}.venv`;

export type Language = 'javascript' | 'python';
export const languages: readonly Language[] = ['javascript', 'python'];

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly code?: string;
  readonly requestId?: string;
  readonly traceId?: string;
  readonly traceback?: string;
  readonly url?: string;
}

export interface RunningServer {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  readonly lines: LogLine[];
  /** Resolves with the first line that matches, whether it is there already or comes. */
  findLine(matches: (line: LogLine) => boolean): Promise<LogLine>;
}

/** The fixture application of this name, in either language: test/apps/applications.{mjs,py}. */
export function fixture(language: Language, name: string): UserSettings {
  const file = language === 'javascript' ? 'applications.mjs' : 'applications.py';
  return { application: `${root}test/apps/${file}:${name}`, python: venv };
}

export async function startServer(settings: UserSettings): Promise<RunningServer> {
  const { log, lines, findLine } = createMemoryLog();
  const server = createServer(resolveUserSettings({ bind: ['127.0.0.1:0'], threads: 1, ...settings }), {
    log,
  });
  onTestFinished(async () => {
    await server.close();
  });
  await server.listen();
  const url = server.addresses[0] as string;
  return { server, url, port: Number(new URL(url).port), lines, findLine };
}

export function createMemoryLog() {
  const lines: LogLine[] = [];
  const waiters = new Set<() => void>();
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as LogLine);
      for (const waiter of waiters) waiter();
      done();
    },
  });
  const findLine = (matches: (line: LogLine) => boolean) =>
    new Promise<LogLine>((resolve) => {
      const look = () => {
        const found = lines.find(matches);
        if (found === undefined) return;
        waiters.delete(look);
        resolve(found);
      };
      waiters.add(look);
      look();
    });
  return { log: pino({ level: 'trace', base: null }, sink), lines, findLine };
}
