/** Main thread. The application answers one request, without a socket: started, asked, ended. */
import { MountTable } from '../../application/mounts.js';
import type { HttpRequest } from '../../http/request.js';
import type { Log } from '../../log.js';
import type { Settings } from '../../settings/table.js';
import type { OutputSink } from './output-sink.js';

/** What ends when the request has been answered. `isEnded` is false where a worker is stuck inside Python. */
export interface Outcome {
  /** Null where there was no whole answer: the application failed in the midst of it, or nobody took it. */
  readonly status: number | null;
  readonly isEnded: boolean;
}

export async function answerOnce(
  settings: Settings,
  log: Log,
  request: HttpRequest,
  sink: OutputSink,
): Promise<Outcome> {
  const mounts = new MountTable({ ...settings, processes: 1, threads: 1 }, log, { runsOnce: true });
  await mounts.start();
  try {
    mounts.handle(request, sink);
    await sink.whenClosed();
  } finally {
    // close() of the application's iterable may still run.
    await mounts.drain(settings.gracefulTimeout * 1000);
  }
  const isEnded = await mounts.close();
  return { status: sink.isWhole ? sink.status : null, isEnded };
}

/** The command's exit status for an answer: 0 for 2xx and 3xx, 4 for 4xx, 5 for 5xx and for what is no whole answer. */
export function exitStatusOf(status: number | null): number {
  if (status === null || status >= 500) return 5;
  return status >= 400 ? 4 : 0;
}
