/** Main thread of a process under the supervisor. Tells the supervisor a few times a second where the process stands. */
import type { Settings } from '../settings/resolve.js';
import type { FromProcess, ProcessReport } from './process-messages.js';
import type { Server } from './server.js';
import { watchWear } from './wear.js';

const REPORT_MS = 100;

/** Reports for as long as the process lives. `countTaken`: connections that it was given so far. */
export function reportRegularly(
  server: Server,
  settings: Settings,
  countTaken: () => number,
  post: (message: FromProcess) => void,
): void {
  let told = '';
  let bytesWritten = 0;
  const look = () => {
    const isStanding = server.bytesWritten === bytesWritten;
    bytesWritten = server.bytesWritten;
    tell({
      connections: server.connections,
      taken: countTaken(),
      isOccupied: isStanding && server.stats().some(({ busy }) => busy > 0),
    });
  };
  const tell = (report: ProcessReport) => {
    const text = JSON.stringify(report);
    if (text !== told) post(['report', report]);
    told = text;
  };
  setInterval(look, REPORT_MS).unref();
  watchWear(server, settings, (reason) => post(['worn', reason]));
}
