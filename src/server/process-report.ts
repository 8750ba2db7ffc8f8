/** Main thread of a process under the supervisor. Tells the supervisor a few times a second where the process stands. */
import type { Settings } from '../settings/resolve.js';
import type { FromProcess, ProcessReport } from './process-messages.js';
import type { Server } from './server.js';
import { findWear, jitterRequests } from './wear.js';

const REPORT_MS = 100;

/** Reports for as long as the process lives. `countTaken`: connections that it was given so far. */
export function reportRegularly(
  server: Server,
  settings: Settings,
  countTaken: () => number,
  post: (message: FromProcess) => void,
): void {
  const limits = { ...settings, maxRequests: jitterRequests(settings, Math.random()) };
  const begun = performance.now();
  let told = '';
  let bytesWritten = 0;
  let isWorn = false;
  const look = () => {
    const isStanding = server.bytesWritten === bytesWritten;
    bytesWritten = server.bytesWritten;
    tell({
      connections: server.connections,
      taken: countTaken(),
      isOccupied: isStanding && server.stats().some(({ busy }) => busy > 0),
    });
    if (!isWorn) ask();
  };
  const tell = (report: ProcessReport) => {
    const text = JSON.stringify(report);
    if (text !== told) post(['report', report]);
    told = text;
  };
  const ask = () => {
    const reason = findWear(limits, {
      requests: server.stats().reduce((sum, { answered }) => sum + answered, 0),
      memory: process.memoryUsage.rss(),
      age: (performance.now() - begun) / 1000,
    });
    if (reason === null) return;
    isWorn = true;
    post(['worn', reason]);
  };
  setInterval(look, REPORT_MS).unref();
}
